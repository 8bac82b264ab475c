//! The noise level: how much signal and how much noise a noisy sample holds.
//!
//! Every formula of the workspace takes two of these, never indices: an index has a meaning in one schedule only.

use serde::{Deserialize, Serialize};

use crate::stable::softplus;

/// The log-SNR of Kingma et al. 2021 (arXiv:2107.00630): `λ = ln(α²/σ²)`, in nats; `+∞` is clean, `−∞` is pure noise.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct LogSnr(pub f64);

/// Half of the log-SNR, `ℓ = ln(α/σ)`, which the DPM-Solver papers (Lu et al. 2022, arXiv:2206.00927) call λ.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct HalfLogSnr(pub f64);

impl LogSnr {
    /// `ℓ = λ/2`.
    pub fn half(self) -> HalfLogSnr {
        HalfLogSnr(self.0 / 2.0)
    }
}

impl HalfLogSnr {
    /// `λ = 2ℓ`.
    pub fn full(self) -> LogSnr {
        LogSnr(2.0 * self.0)
    }
}

/// One level of a Gaussian path, `x_t = α·x₀ + σ·ε`.
///
/// Both scales are held as logarithms, so that neither end loses digits: `ln α = −∞` is pure noise (where flow matching
/// starts), `ln σ = −∞` is clean data (where sampling ends).
///
/// ```
/// use diffusion_math::NoiseLevel;
/// let level = NoiseLevel::from_scales(0.6, 0.8).with_time(312.0);
/// assert!((level.alpha() - 0.6).abs() < 1e-15);
/// assert!((level.log_snr().0 - 2.0 * (0.6f64 / 0.8).ln()).abs() < 1e-15);
/// assert_eq!(level.time(), 312.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NoiseLevel {
    log_alpha: f64,
    log_sigma: f64,
    time: f64,
}

impl NoiseLevel {
    /// The level with the given `ln α` and `ln σ`; its time is NaN until [`with_time`](Self::with_time) sets it.
    pub fn from_log_scales(log_alpha: f64, log_sigma: f64) -> Self {
        Self { log_alpha, log_sigma, time: f64::NAN }
    }

    /// The level with `α ≥ 0` and `σ ≥ 0`; zero is allowed for one of them.
    pub fn from_scales(alpha: f64, sigma: f64) -> Self {
        Self::from_log_scales(alpha.ln(), sigma.ln())
    }

    /// The variance-preserving level of a log-SNR: `α² = sigmoid(λ)`, `σ² = sigmoid(−λ)`.
    pub fn variance_preserving(log_snr: LogSnr) -> Self {
        Self::from_log_scales(-0.5 * softplus(-log_snr.0), -0.5 * softplus(log_snr.0))
    }

    /// Clean data: `α = 1`, `σ = 0`.
    pub fn clean() -> Self {
        Self::from_log_scales(0.0, f64::NEG_INFINITY)
    }

    /// The same level, with the time at which a network is to be asked: an index of the training schedule (fractional
    /// where a grid falls between two), or `t ∈ [0, 1]` on a continuous path.
    pub fn with_time(self, time: f64) -> Self {
        Self { time, ..self }
    }

    /// `α ≥ 0`, the scale of the signal.
    pub fn alpha(&self) -> f64 {
        self.log_alpha.exp()
    }

    /// `σ ≥ 0`, the scale of the noise.
    pub fn sigma(&self) -> f64 {
        self.log_sigma.exp()
    }

    /// `(α, σ)`.
    pub fn scales(&self) -> (f64, f64) {
        (self.alpha(), self.sigma())
    }

    /// `ln α`.
    pub fn log_alpha(&self) -> f64 {
        self.log_alpha
    }

    /// `ln σ`.
    pub fn log_sigma(&self) -> f64 {
        self.log_sigma
    }

    /// `λ = ln(α²/σ²)`.
    pub fn log_snr(&self) -> LogSnr {
        LogSnr(2.0 * (self.log_alpha - self.log_sigma))
    }

    /// `σ/α = e^{−ℓ}`: EDM's σ, equal to this σ only where α = 1; `+∞` at pure noise.
    pub fn noise_to_signal(&self) -> f64 {
        (self.log_sigma - self.log_alpha).exp()
    }

    /// The time at which a network is to be asked; NaN where none was set.
    pub fn time(&self) -> f64 {
        self.time
    }
}
