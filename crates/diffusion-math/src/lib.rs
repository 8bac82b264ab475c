//! The mathematics of diffusion models, without a C library.
pub mod stable;

mod chain;
mod denoiser;
mod discrete;
mod error;
mod gaussian;
mod gaussian_denoiser;
mod guidance;
mod level;
mod marginal;
mod mixture_denoiser;
mod noise;
mod posterior;
mod prediction;
mod schedule;
mod state;
mod transition;

pub use chain::NoisingChain;
pub use denoiser::{DenoiseError, Denoiser, DenoiserFn, Prediction, denoiser_fn};
pub use discrete::{DiscreteSchedule, ScheduleConfig, ScheduleKind};
pub use error::MathError;
pub use gaussian::{DiagonalGaussian, FullGaussian, IsotropicGaussian, kl_isotropic};
pub use gaussian_denoiser::GaussianDenoiser;
pub use guidance::{guidance_scale_of_weight, guided};
pub use level::{HalfLogSnr, LogSnr, NoiseLevel};
pub use marginal::{diffuse, q_sample};
pub use mixture_denoiser::MixtureDenoiser;
pub use noise::{KeyedNoise, NoiseError, NoiseSource, ReplayedNoise, philox4x32};
pub use posterior::{Posterior, interpolated_variance};
pub use prediction::Parameterization;
pub use schedule::NoiseSchedule;
pub use state::State;
pub use transition::{Transition, innovation};
