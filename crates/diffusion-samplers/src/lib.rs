//! Samplers for diffusion models whose order of convergence is stated and measured.
mod clipping;
mod ddim;
mod ddpm;
mod error;
mod grid;
mod guided;
mod sampler;
pub mod scheduler;
mod trajectory;

pub use clipping::Clipping;
pub use ddim::{Ddim, NoiseEstimate};
pub use ddpm::{Ddpm, FinalNoise, PosteriorVariance, ReverseVariance};
pub use error::{SamplingError, SetupError};
pub use grid::{NoiseGrid, TimestepSpacing, timesteps};
pub use guided::Guided;
pub use sampler::{History, Order, Sampler, Step};
pub use scheduler::{SamplerOptions, SchedulerConfig};
pub use trajectory::Trajectory;
