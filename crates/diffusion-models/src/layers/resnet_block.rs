//! The residual block of every UNet, told the time.

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::resample::{double, halve};
use super::{Activation, Conv2d, GroupNorm, Linear, scaled_sum};
use crate::{ModelError, Scope};

/// How the time enters a residual block (diffusers' `resnet_time_scale_shift`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimeConditioning {
    /// Added before the second normalisation (Ho et al. 2020).
    #[serde(rename = "default")]
    Add,
    /// Scale and shift behind the second normalisation: AdaGN (Dhariwal & Nichol 2021, arXiv:2105.05233, Eq. 3).
    ScaleShift,
}

/// What a network is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Sampling: without dropout.
    Inference,
    /// Training: with dropout.
    Training,
}

/// Whether a residual block changes the size of the map, between its first activation and its first convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resample {
    /// It does not.
    Keep,
    /// It doubles height and width.
    Double,
    /// It halves them.
    Halve,
}

/// What a [`ResnetBlock2d`] is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ResnetBlock2dConfig {
    /// Channels in.
    pub inputs: i64,
    /// Channels out.
    pub outputs: i64,
    /// Features of the time embedding.
    pub time_features: i64,
    /// Groups of both normalisations.
    pub norm_groups: i64,
    /// Their epsilon.
    pub norm_eps: f64,
    /// The nonlinearity.
    pub activation: Activation,
    /// How the time enters.
    pub time_conditioning: TimeConditioning,
    /// Dropout probability before the second convolution, while training.
    pub dropout: f64,
    /// The sum with the shortcut is divided by this.
    pub output_scale: f64,
    /// Change of size.
    pub resample: Resample,
}

/// `y = (shortcut(x) + conv2(act(norm2(conv1(act(norm1(x))) + W·time))))/output_scale`.
///
/// `time` is the time embedding behind its activation, which is the same for all blocks of a network.
///
/// `conv2` is zero at first, so that the block starts as its shortcut (Ho et al. 2020); `conv_shortcut` is a 1×1
/// convolution where the channels change.
#[derive(Debug)]
pub struct ResnetBlock2d {
    norm1: GroupNorm,
    conv1: Conv2d,
    time_emb_proj: Linear,
    norm2: GroupNorm,
    conv2: Conv2d,
    conv_shortcut: Option<Conv2d>,
    config: ResnetBlock2dConfig,
}

impl ResnetBlock2d {
    /// The block at `scope`.
    ///
    /// # Errors
    /// Where the groups do not divide the channels, or a parameter cannot be allocated.
    pub fn new(scope: &Scope<'_>, config: ResnetBlock2dConfig) -> Result<Self, ModelError> {
        let ResnetBlock2dConfig { inputs, outputs, time_features, norm_groups, norm_eps, .. } =
            config;
        let time_outputs = match config.time_conditioning {
            TimeConditioning::Add => outputs,
            TimeConditioning::ScaleShift => 2 * outputs,
        };
        Ok(Self {
            norm1: GroupNorm::new(&scope.at("norm1"), norm_groups, inputs, norm_eps)?,
            conv1: Conv2d::same(&scope.at("conv1"), inputs, outputs, 3)?,
            time_emb_proj: Linear::new(&scope.at("time_emb_proj"), time_features, time_outputs)?,
            norm2: GroupNorm::new(&scope.at("norm2"), norm_groups, outputs, norm_eps)?,
            conv2: Conv2d::same_zero(&scope.at("conv2"), outputs, outputs, 3)?,
            conv_shortcut: (inputs != outputs)
                .then(|| Conv2d::same(&scope.at("conv_shortcut"), inputs, outputs, 1))
                .transpose()?,
            config,
        })
    }

    /// # Shapes
    /// `[B, inputs, H, W]`, `[B, time_features] → [B, outputs, H', W']`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, x: &Tensor, time: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        let act = self.config.activation;
        let resample = |map: Tensor| match self.config.resample {
            Resample::Keep => Ok(map),
            Resample::Double => double(&map),
            Resample::Halve => halve(&map),
        };
        let hidden = self.conv1.forward(&resample(act.forward(&self.norm1.forward(x)?)?)?)?;
        let x = &resample(x.shallow_clone())?;
        let time = self.time_emb_proj.forward(time)?.f_unsqueeze(-1)?.f_unsqueeze(-1)?;
        let hidden = match self.config.time_conditioning {
            TimeConditioning::Add => self.norm2.forward(&hidden.f_add(&time)?)?,
            TimeConditioning::ScaleShift => {
                let parts = time.f_chunk(2, 1)?;
                self.norm2
                    .forward(&hidden)?
                    .f_mul(&parts[0].f_add_scalar(1.0)?)?
                    .f_add(&parts[1])?
            }
        };
        let mut hidden = act.forward(&hidden)?;
        if mode == Mode::Training && self.config.dropout > 0.0 {
            hidden = hidden.f_dropout(self.config.dropout, true)?;
        }
        let hidden = self.conv2.forward(&hidden)?;
        let shortcut = match &self.conv_shortcut {
            Some(convolution) => convolution.forward(x)?,
            None => x.shallow_clone(),
        };
        scaled_sum(&hidden, &shortcut, self.config.output_scale)
    }
}
