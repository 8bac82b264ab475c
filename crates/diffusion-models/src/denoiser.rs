//! A network as the [`Denoiser`] that a sampler asks, with guidance in one forward.

use diffusion_math::{DenoiseError, Denoiser, NoiseLevel, Parameterization, Prediction};
use diffusion_torch::TensorState;
use tch::{Kind, Tensor};

use crate::{ModelError, UNet2d};

/// The classes asked for, and how strongly.
#[derive(Debug)]
pub struct ClassGuidance {
    /// One class a sample, `[B]`.
    pub labels: Tensor,
    /// The label that means "no class"; needed where `guidance_scale` is not 1.
    pub no_class: Option<i64>,
    /// `s` of `u + s·(c − u)`; 1 is no guidance.
    pub guidance_scale: f64,
}

/// A UNet as a [`Denoiser`]: its output at `level.time()`, turned into x̂₀ by what it was trained to predict.
///
/// Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598) runs both halves in one forward of 2B and guides the
/// network's own output, as diffusers does; clipping, which is not affine, comes later, in the sampler.
#[derive(Debug)]
pub struct NetworkDenoiser<'a> {
    unet: &'a UNet2d,
    parameterization: Parameterization,
    classes: Option<ClassGuidance>,
}

impl<'a> NetworkDenoiser<'a> {
    /// The denoiser of an unconditional network.
    pub fn new(unet: &'a UNet2d, parameterization: Parameterization) -> Self {
        Self { unet, parameterization, classes: None }
    }

    /// Asks for classes.
    pub fn with_classes(self, classes: ClassGuidance) -> Self {
        Self { classes: Some(classes), ..self }
    }

    fn output(&self, x: &Tensor, time: f64) -> Result<Tensor, ModelError> {
        let batch = x.size()[0];
        let time_of = |n: i64| Tensor::f_full([n], time, (Kind::Float, x.device()));
        let Some(ClassGuidance { labels, no_class, guidance_scale }) = &self.classes else {
            return self.unet.forward(x, &time_of(batch)?, None);
        };
        #[expect(clippy::float_cmp, reason = "exactly 1 means that no second forward is needed")]
        if *guidance_scale == 1.0 {
            return self.unet.forward(x, &time_of(batch)?, Some(labels));
        }
        let no_class = no_class.ok_or(ModelError::Input {
            name: "guidance",
            expected: "1: the network has no label for \"no class\"".into(),
            got: guidance_scale.to_string(),
        })?;
        let both = Tensor::f_cat(&[x, x], 0)?;
        let labels = Tensor::f_cat(&[labels, &labels.f_full_like(no_class)?], 0)?;
        let out = self.unet.forward(&both, &time_of(2 * batch)?, Some(&labels))?;
        let halves = out.f_chunk(2, 0)?;
        let (conditional, unconditional) = (&halves[0], &halves[1]);
        let direction = conditional.f_sub(unconditional)?;
        Ok(unconditional.f_add(&direction.f_mul_scalar(*guidance_scale)?)?)
    }
}

impl NetworkDenoiser<'_> {
    /// Separates a learned variance, the second half of twice the channels: `v = (output + 1)/2` (Nichol & Dhariwal 2021,
    /// arXiv:2102.09672, §3.1).
    fn split(&self, output: Tensor) -> Result<(Tensor, Option<TensorState>), ModelError> {
        let config = self.unet.config();
        if config.out_channels != 2 * config.in_channels {
            return Ok((output, None));
        }
        let halves = output.f_chunk(2, 1)?;
        let weight = halves[1].f_add_scalar(1.0)?.f_mul_scalar(0.5)?;
        Ok((halves[0].shallow_clone(), Some(TensorState(weight))))
    }
}

impl Denoiser<TensorState> for NetworkDenoiser<'_> {
    fn denoise(
        &self,
        x_t: &TensorState,
        level: NoiseLevel,
    ) -> Result<Prediction<TensorState>, DenoiseError> {
        let _no_grad = tch::no_grad_guard();
        if x_t.0.size().first() == Some(&0) {
            return Ok(Prediction::of_x0(TensorState(x_t.0.shallow_clone())));
        }
        let output = self.output(&x_t.0, level.time()).map_err(DenoiseError::network)?;
        let (output, variance_weight) = self.split(output).map_err(DenoiseError::network)?;
        let x0_hat = self
            .parameterization
            .x0_hat(x_t, &TensorState(output), level)
            .map_err(DenoiseError::network)?;
        let mut prediction = Prediction::of_x0(x0_hat);
        prediction.variance_weight = variance_weight;
        Ok(prediction)
    }
}
