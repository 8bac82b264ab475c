//! diffusers' pipeline directories: `model_index.json` and its components, read, run and written.
//!
//! [`PixelPipeline`] is a network on pixels with a scheduler: diffusers' `DDPMPipeline` and `DDIMPipeline`.
//!
//! ```
//! use diffusion_math::{Parameterization, ScheduleConfig, ScheduleKind};
//! use diffusion_models::{DownBlockType, ParameterBuilder, Placement, SampleSize, UNet2d, UNet2dConfig, UpBlockType};
//! use diffusion_pipelines::{InitialNoise, PixelPipeline, SampleRequest};
//! use diffusion_samplers::SchedulerConfig;
//! use diffusion_torch::{DeviceRequest, select};
//!
//! // A network that was never trained; `PixelPipeline::load` takes one from a directory.
//! let placement = Placement::on(select(DeviceRequest::Auto)?);
//! let config = UNet2dConfig {
//!     in_channels: 1,
//!     out_channels: 1,
//!     sample_size: Some(SampleSize::Square(8)),
//!     block_out_channels: vec![8, 16],
//!     down_block_types: vec![DownBlockType::DownBlock2D; 2],
//!     up_block_types: vec![UpBlockType::UpBlock2D; 2],
//!     layers_per_block: 1,
//!     norm_num_groups: 4,
//!     ..UNet2dConfig::default()
//! };
//! let unet = UNet2d::new(config, ParameterBuilder::fresh(0, placement))?;
//! let schedule = ScheduleConfig::new(ScheduleKind::Cosine, 1000);
//! let pipeline = PixelPipeline::new(unet, SchedulerConfig::ddim(&schedule, Parameterization::V)?);
//!
//! let request = SampleRequest {
//!     initial_noise: InitialNoise::Drawn(3),
//!     seed: 7,
//!     n_steps: Some(4),
//!     ..SampleRequest::default()
//! };
//! let samples = pipeline.sample(&request, &mut |_progress| {})?;
//! assert_eq!(samples.image.size(), [3, 1, 8, 8]); // in [0, 1]
//! assert_eq!(samples.evaluations, 4);
//!
//! // To disk as diffusers lays it out, and back: the same pictures.
//! let folder = tempfile::tempdir()?;
//! pipeline.save(folder.path())?;
//! let again = PixelPipeline::load(folder.path(), placement)?.sample(&request, &mut |_progress| {})?;
//! assert_eq!(samples.image, again.image);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod model_index;
mod pixel;
mod request;

pub use error::PipelineError;
pub use model_index::{Component, ModelIndex};
pub use pixel::PixelPipeline;
pub use request::{InitialNoise, SampleProgress, SampleRequest, Samples};
