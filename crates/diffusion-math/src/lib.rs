//! The mathematics of diffusion models, every statement of it tested against something exact; no C library.
//!
//! # The theory on one screen
//!
//! **Forward.** Data are drowned in Gaussian noise along a path of [`NoiseLevel`]s, `x_t = α·x₀ + σ·ε`, from clean
//! (α = 1, σ = 0) to pure noise (α = 0). Only the ratio matters: the log-SNR `λ = ln(α²/σ²)` falls along the path. A
//! [`NoiseSchedule`] says which level each time has; [`DiscreteSchedule`] is DDPM's, of finitely many steps. Any level is one
//! jump from the data ([`q_sample`]); the chain of small steps ([`NoisingChain`]) has the same law and is there to test it.
//!
//! **What is learned.** A network answers, at a noisy sample and its level, one of ε, x₀ or `v = α·ε − σ·x₀`
//! ([`Parameterization`]); all are the same answer, `x̂₀ = E[x₀ | x_t]`, which is what a [`Denoiser`] gives. The best answer has
//! the score in it, `σ²·∇ln p(x_t) = α·x̂₀ − x_t`, and for Gaussians and mixtures it is known ([`GaussianDenoiser`],
//! [`MixtureDenoiser`]): oracles that make samplers and losses testable without training.
//!
//! **Back.** If x₀ were known, a cleaner level given a noisier one would be Gaussian, `q(x_s | x_t, x₀)` ([`Posterior`]).
//! Ancestral sampling puts x̂₀ in its place; the probability-flow ODE gets there without noise (the crate
//! `diffusion-samplers`). Guidance moves x̂₀ along the difference that a condition makes ([`guided`]).
//!
//! **Why it is maximum likelihood.** `−ln p(x₀) ≤ KL(q(x_T|x₀)‖p) + Σ E KL(q(x_s|x_t,x₀)‖p(x_s|x_t)) + …`: divergences of
//! Gaussians, [`kl_isotropic`], which for equal variances are squared distances of noises, `½·expm1(λ_s − λ_t)·‖ε − ε̂‖²`.
//!
//! ```
//! use diffusion_math::{
//!     Denoiser, DiscreteSchedule, GaussianDenoiser, KeyedNoise, NoiseSource, Posterior, diffuse, kl_isotropic, q_sample,
//! };
//! let schedule = DiscreteSchedule::linear(1000)?;
//! let data = GaussianDenoiser::new(0.5, 0.25)?; // N(½, ¼), whose best denoiser is known
//! let mut noise = KeyedNoise::new(7); // the same numbers on every machine
//!
//! // Forward: 500 noising steps in one jump.
//! let (t, s) = (schedule.level(500), schedule.level(499));
//! let x0 = 0.9;
//! let (x_t, eps) = q_sample(&x0, t, &mut noise)?;
//! assert_eq!(x_t, diffuse(&x0, &eps, t));
//!
//! // What the best network would answer, and one step back with it.
//! let x0_hat = data.denoise(&x_t, t)?.x0_hat;
//! let posterior = Posterior::between(t, s);
//! let x_s = posterior.mean(&x_t, &x0_hat) + posterior.variance.sqrt() * noise.standard_normal_like(&x_t)?;
//!
//! // What that step costs in the evidence bound, in nats: a squared distance of noises.
//! let eps_hat = (x_t - t.alpha() * x0_hat) / t.sigma();
//! let distance = (posterior.mean(&x_t, &x0) - posterior.mean(&x_t, &x0_hat)).powi(2);
//! let kl = kl_isotropic(1, distance, posterior.variance.ln(), posterior.variance.ln());
//! let weight = 0.5 * (s.log_snr().0 - t.log_snr().0).exp_m1();
//! assert!((kl - weight * (eps - eps_hat).powi(2)).abs() < 1e-12);
//! assert!(x_s.is_finite());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Conventions
//!
//! Time runs from data (t = 0) to noise (t = 1); a step back goes from `t` to `s`, s < t. Logarithms are natural,
//! divergences in nats. Coefficients are f64 whatever the data are; schedules are held as logarithms, so that neither
//! `1 − ᾱ` near the data nor `ᾱ` near the noise is ever a difference of nearly equal numbers ([`stable`]).
//!
//! # What is tested
//!
//! `cargo test -p diffusion-math --test identities` runs the identities: closed form against chain, posteriors against
//! Bayes' rule, divergences against quadrature, golden numbers of 40-digit arithmetic. `--test noise` tests the quality of the
//! normals and freezes their bits.
pub mod stable;

#[cfg(doc)]
#[doc = include_str!("../notation.md")]
pub mod notation {}

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
