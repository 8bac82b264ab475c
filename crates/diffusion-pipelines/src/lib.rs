//! diffusers' pipeline directories: `model_index.json` and its components, read, run and written.
//!
//! [`PixelPipeline`] is a network on pixels with a scheduler: diffusers' `DDPMPipeline` and `DDIMPipeline`.

mod error;
mod model_index;
mod pixel;
mod request;

pub use error::PipelineError;
pub use model_index::{Component, ModelIndex};
pub use pixel::PixelPipeline;
pub use request::{InitialNoise, SampleProgress, SampleRequest, Samples};
