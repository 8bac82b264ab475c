//! The mathematics of diffusion models, without a C library.
mod denoiser;
mod level;
mod noise;
mod schedule;
mod state;

pub use denoiser::{DenoiseError, Denoiser, DenoiserFn, Prediction, denoiser_fn};
pub use level::{HalfLogSnr, LogSnr, NoiseLevel};
pub use noise::{NoiseError, NoiseSource};
pub use schedule::NoiseSchedule;
pub use state::State;
