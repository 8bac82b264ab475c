//! Samplers for diffusion models: each states its order of convergence, and a test over all of them measures it.
//!
//! | sampler | order | evaluations a step | noise | source |
//! |---|---|---|---|---|
//! | [`Ddim`], η = 0 | 1 | 1 | none | Song et al. 2021, arXiv:2010.02502 |
//! | [`Ddim`], 0 < η ≤ 1 | 1 (weak) | 1 | every step | the same |
//! | [`Ddpm`] | 1 (weak) | 1 | every step | Ho et al. 2020, arXiv:2006.11239 |
//!
//! Order p: the error against the exact solution falls as `hᵖ`, h being the step in `ln(α/σ)`; weak: the error of the
//! output's law does. Measured on a Gaussian and on a two-mode mixture, whose exact denoisers are in `diffusion-math`.
//!
//! # A sampler, a grid, a denoiser
//!
//! ```
//! use diffusion_math::{DiscreteSchedule, GaussianDenoiser, KeyedNoise, NoiseSource};
//! use diffusion_samplers::{Ddim, NoiseGrid, TimestepSpacing, Trajectory};
//! use ndarray::Array2;
//!
//! let schedule = DiscreteSchedule::cosine(1000)?; // as the network was trained
//! let grid = NoiseGrid::spaced(&schedule, TimestepSpacing::Trailing, 50, 0)?; // the 50 levels to visit
//! let sampler = Ddim::default();
//! let denoiser = GaussianDenoiser::new(0.5, 0.25)?; // a network, or here the exact answer for N(½, ¼)
//! let mut noise = KeyedNoise::new(0);
//! let x_t = noise.standard_normal_like(&Array2::<f32>::zeros((64, 8)))?;
//!
//! let mut trajectory = Trajectory::new(&sampler, &denoiser, &grid, x_t, &mut noise);
//! while trajectory.advance()?.is_some() {} // the loop is the caller's: progress bars, pictures, early stops
//! let x0 = trajectory.into_state();
//! assert!((x0.mean().unwrap() - 0.5).abs() < 0.1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A network becomes a [`Denoiser`](diffusion_math::Denoiser) once, by an adapter; guidance wraps two of them
//! ([`Guided`]); clipping of x̂₀ is the sampler's ([`Clipping`]). Samplers are immutable values: what a method remembers
//! lives in its [`Step`], what it draws comes from the caller's noise source, and an error names sampler and step.
//!
//! # diffusers' files
//!
//! [`SchedulerConfig`] reads and writes `scheduler_config.json`; the trajectories are those of diffusers 0.42.1 to 1e-4, over
//! every option that its DDPM and DDIM classes document but two of DDPM's `variance_type`: `learned`, and `fixed_large_log`,
//! which is NaN there. What is not supported is an error that names it.
mod clipping;
mod ddim;
mod ddpm;
mod error;
mod grid;
mod guided;
mod history;
mod sampler;
pub mod scheduler;
mod step;
mod timesteps;
mod trajectory;

pub use clipping::Clipping;
pub use ddim::{Ddim, NoiseEstimate};
pub use ddpm::{Ddpm, FinalNoise, PosteriorVariance, ReverseVariance};
pub use error::{SamplingError, SetupError};
pub use grid::NoiseGrid;
pub use guided::Guided;
pub use history::History;
pub use sampler::{Order, Sampler};
pub use scheduler::{SamplerOptions, SchedulerConfig};
pub use step::Step;
pub use timesteps::{TimestepSpacing, timesteps};
pub use trajectory::Trajectory;

/// The repository's README and those pages of the book whose code needs no libtorch, so that their code runs as tests.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../../README.md")]
    mod readme {}
    #[doc = include_str!("../../../docs/src/quick-start.md")]
    mod quick_start {}
    #[doc = include_str!("../../../docs/src/the-default-run.md")]
    mod the_default_run {}
    #[doc = include_str!("../../../docs/src/add-a-schedule.md")]
    mod add_a_schedule {}
    #[doc = include_str!("../../../docs/src/add-a-sampler.md")]
    mod add_a_sampler {}
}
