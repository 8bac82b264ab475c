//! A network on pixels with a scheduler: diffusers' `DDPMPipeline` and `DDIMPipeline`.

use std::path::Path;

use diffusion_math::{KeyedNoise, NoiseSource};
use diffusion_models::{ClassGuidance, NetworkDenoiser, Placement, SampleSize, UNet2d};
use diffusion_samplers::Trajectory;
use diffusion_samplers::scheduler::{SamplerOptions, SchedulerConfig};
use diffusion_torch::TensorState;
use tch::{Device, Kind, Tensor};

use crate::{
    Component, InitialNoise, ModelIndex, PipelineError, SampleProgress, SampleRequest, Samples,
};

const UNET: &str = "unet";
const SCHEDULER: &str = "scheduler";
const SCHEDULER_FILE: &str = "scheduler_config.json";

/// A `UNet2DModel` and a scheduler.
///
/// A class-conditional network has `n_classes + 1` embeddings, the last for "no class". diffusers' own pipelines pass no
/// class, so such a directory's components load there, not its pipeline.
#[derive(Debug)]
pub struct PixelPipeline {
    unet: UNet2d,
    scheduler: SchedulerConfig,
}

impl PixelPipeline {
    /// The pipeline of these parts.
    pub fn new(unet: UNet2d, scheduler: SchedulerConfig) -> Self {
        Self { unet, scheduler }
    }

    /// Reads a pipeline's directory.
    ///
    /// # Errors
    /// Where a file is absent or damaged, or a class is not supported.
    pub fn load(directory: &Path, placement: Placement) -> Result<Self, PipelineError> {
        let index = ModelIndex::read(directory)?;
        let unsupported = |what: String, supported: &str| PipelineError::Index {
            path: ModelIndex::path(directory),
            reason: format!("{what} is not supported; {supported}"),
        };
        if !["DDIMPipeline", "DDPMPipeline"].contains(&index.class_name.as_str()) {
            let supported = "DDIMPipeline and DDPMPipeline are";
            return Err(unsupported(format!("_class_name = \"{}\"", index.class_name), supported));
        }
        let class = index.class_of(directory, UNET)?;
        if class != UNet2d::CLASS_NAME {
            return Err(unsupported(format!("{UNET} of class {class}"), "UNet2DModel is"));
        }
        index.class_of(directory, SCHEDULER)?;
        let path = directory.join(SCHEDULER).join(SCHEDULER_FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| PipelineError::Io {
            action: "read",
            path: path.clone(),
            source,
        })?;
        let scheduler = SchedulerConfig::from_json(&text)
            .map_err(|source| PipelineError::SchedulerFile { path, source })?;
        Ok(Self { unet: UNet2d::load(&directory.join(UNET), placement)?, scheduler })
    }

    /// Writes the pipeline's directory, as diffusers would.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), PipelineError> {
        let folder = directory.join(SCHEDULER);
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| PipelineError::Io { action, path, source }
        };
        std::fs::create_dir_all(&folder).map_err(io("create", &folder))?;
        let file = folder.join(SCHEDULER_FILE);
        std::fs::write(&file, self.scheduler.to_json()).map_err(io("write", &file))?;
        self.unet.save(&directory.join(UNET))?;
        let diffusers = |class_name: &str| Component {
            library: "diffusers".into(),
            class_name: class_name.to_owned(),
        };
        let scheduler_class = self.scheduler.class_name();
        let index = ModelIndex {
            class_name: scheduler_class.replace("Scheduler", "Pipeline"),
            components: [
                (UNET.to_owned(), diffusers(UNet2d::CLASS_NAME)),
                (SCHEDULER.to_owned(), diffusers(scheduler_class)),
            ]
            .into(),
        };
        index.write(directory)
    }

    /// The network.
    pub fn unet(&self) -> &UNet2d {
        &self.unet
    }

    /// The scheduler.
    pub fn scheduler(&self) -> &SchedulerConfig {
        &self.scheduler
    }

    /// How many classes can be asked for; the row behind them is "no class".
    pub fn n_classes(&self) -> Option<i64> {
        self.unet.config().num_class_embeds.map(|rows| rows - 1)
    }

    /// Draws samples; `on_step` is called after every step of every batch.
    ///
    /// # Errors
    /// Where the request does not fit the pipeline, or the network or its device fails.
    pub fn sample(
        &self,
        request: &SampleRequest,
        on_step: &mut dyn FnMut(SampleProgress<'_>),
    ) -> Result<Samples, PipelineError> {
        let _no_grad = tch::no_grad_guard();
        let device = self.unet.parameters().device();
        let shape = self.sample_shape(&request.initial_noise)?;
        let n_samples = shape[0] as usize;
        let labels = self.labels(request, n_samples)?;
        let mut scheduler = match &request.sampler {
            Some(name) => self.scheduler.with_class(name)?,
            None => self.scheduler.clone(),
        };
        if let Some(spacing) = request.timestep_spacing {
            scheduler = scheduler.with_timestep_spacing(spacing);
        }
        let grid =
            scheduler.grid(request.n_steps.unwrap_or_else(|| default_n_steps(&scheduler)))?;
        let sampler = scheduler
            .sampler::<TensorState>(&SamplerOptions { eta: request.eta, ..Default::default() })?;
        let batch_size = request.batch_size.max(1);

        let mut latents = Vec::new();
        let mut evaluations = 0;
        for first_sample in (0..n_samples).step_by(batch_size) {
            let rows = batch_size.min(n_samples - first_sample);
            let (start, length) = (first_sample as i64, rows as i64);
            let mut noise = KeyedNoise::new(request.seed).with_first_sample(first_sample as u64);
            let batch_shape = [&[length], &shape[1..]].concat();
            let like = TensorState(Tensor::f_zeros(batch_shape, (Kind::Float, device))?);
            // Drawn even where it is given, so that the sampler's own noise is the same in both cases.
            let drawn: TensorState = noise.standard_normal_like(&like)?;
            let x_t = match &request.initial_noise {
                InitialNoise::Drawn(_) => drawn.0,
                InitialNoise::Given(given) => {
                    given.f_narrow(0, start, length)?.f_to_kind(Kind::Float)?.f_to_device(device)?
                }
            };
            let x_t = TensorState(x_t.f_mul_scalar(scheduler.init_noise_sigma())?);
            let mut denoiser = NetworkDenoiser::new(&self.unet, scheduler.parameterization());
            if let Some(labels) = &labels {
                denoiser = denoiser.with_classes(ClassGuidance {
                    labels: Tensor::f_from_slice(&labels[first_sample..first_sample + rows])?
                        .f_to_device(device)?,
                    no_class: self.n_classes(),
                    guidance_scale: request.guidance_scale,
                });
            }
            let mut trajectory = Trajectory::new(&*sampler, &denoiser, &grid, x_t, &mut noise);
            let mut step = 0;
            while let Some(x) = trajectory.advance()? {
                step += 1;
                on_step(SampleProgress {
                    first_sample,
                    n_samples,
                    step,
                    n_steps: grid.n_steps(),
                    x: &x.0,
                });
            }
            evaluations = trajectory.evaluations();
            latents.push(trajectory.into_state().0);
        }
        let latents = match latents.is_empty() {
            true => Tensor::f_zeros(shape, (Kind::Float, device))?,
            false => Tensor::f_cat(&latents, 0)?,
        };
        let image = latents.f_mul_scalar(0.5)?.f_add_scalar(0.5)?.f_clamp(0.0, 1.0)?;
        let cpu = |t: Tensor| t.f_to_device(Device::Cpu)?.f_contiguous();
        Ok(Samples {
            latents: cpu(latents)?,
            image: cpu(image)?,
            scheduler_class: scheduler.class_name().to_owned(),
            evaluations,
        })
    }

    fn sample_shape(&self, initial_noise: &InitialNoise) -> Result<[i64; 4], PipelineError> {
        let config = self.unet.config();
        let refuse = |what, given: String, allowed: String| {
            Err(PipelineError::Request { what, given, allowed })
        };
        match initial_noise {
            InitialNoise::Drawn(n) => match config.sample_size.map(SampleSize::height_width) {
                Some((height, width)) => Ok([*n as i64, config.in_channels, height, width]),
                None => refuse(
                    "sample_size",
                    "null".into(),
                    "the network's config.json must say it".into(),
                ),
            },
            InitialNoise::Given(given) => {
                let multiple = config.size_multiple();
                let fits = |n: i64| n > 0 && n % multiple == 0;
                match given.size()[..] {
                    [n, c, h, w] if n > 0 && c == config.in_channels && fits(h) && fits(w) => {
                        let finite = given.f_isfinite()?.f_all()?.f_int64_value(&[])? != 0;
                        let allowed = || "expected finite numbers".to_owned();
                        if finite {
                            Ok([n, c, h, w])
                        } else {
                            refuse("init_latents", "NaN or infinite".into(), allowed())
                        }
                    }
                    _ => {
                        let allowed = format!(
                            "expected [batch, {}, height, width], both multiples of {multiple}",
                            config.in_channels
                        );
                        refuse("init_latents", format!("{:?}", given.size()), allowed)
                    }
                }
            }
        }
    }

    fn labels(
        &self,
        request: &SampleRequest,
        n_samples: usize,
    ) -> Result<Option<Vec<i64>>, PipelineError> {
        let refuse = |what, given: String, allowed: String| {
            Err(PipelineError::Request { what, given, allowed })
        };
        let classes = &request.classes;
        #[expect(clippy::float_cmp, reason = "exactly 1 is no guidance")]
        let guided = request.guidance_scale != 1.0;
        let Some(n_classes) = self.n_classes() else {
            if !classes.is_empty() {
                return refuse(
                    "class",
                    format!("{classes:?}"),
                    "the network has no classes".into(),
                );
            }
            return match guided {
                true => refuse(
                    "guidance",
                    request.guidance_scale.to_string(),
                    "the network has no classes".into(),
                ),
                false => Ok(None),
            };
        };
        if guided && classes.is_empty() {
            return refuse(
                "guidance",
                request.guidance_scale.to_string(),
                "guidance needs a class".into(),
            );
        }
        if let Some(class) = classes.iter().find(|class| !(0..n_classes).contains(*class)) {
            let allowed = format!(
                "expected 0 to {} (row {n_classes} of the table means no class)",
                n_classes - 1
            );
            return refuse("class", class.to_string(), allowed);
        }
        match classes.len() {
            0 => Ok(Some(vec![n_classes; n_samples])),
            1 => Ok(Some(vec![classes[0]; n_samples])),
            n if n == n_samples => Ok(Some(classes.clone())),
            n => refuse(
                "class",
                format!("{n} values"),
                format!("expected one, or one for each of {n_samples} samples"),
            ),
        }
    }
}

/// What diffusers' pipelines take where nothing is said: every training step for DDPM, else 50.
fn default_n_steps(scheduler: &SchedulerConfig) -> usize {
    match scheduler.class_name() {
        "DDPMScheduler" => scheduler.n_train_steps(),
        _ => 50.min(scheduler.n_train_steps()),
    }
}
