//! From a noisy sample back to a cleaner level, the data being known: `q(x_s | x_t, x₀)`, s < t.

use crate::{NoiseLevel, State, innovation};

/// `q(x_s | x_t, x₀) = N(a·x_t + b·x₀, β̃·I)` for any two levels, s the cleaner:
///
/// `a = α_t·σ_s²/(α_s·σ_t²)`, `b = α_s·c`, `β̃ = σ_s²·c`, `c = −expm1(λ_t − λ_s)` (Kingma et al. 2021, arXiv:2107.00630,
/// Appendix A.2; for s = t − 1 Ho et al. 2020, arXiv:2006.11239, Eq. 7).
///
/// No term divides by α_t: at pure noise (α_t = 0) it is `N(α_s·x₀, σ_s²·I)`.
///
/// ```
/// use diffusion_math::{DiscreteSchedule, Posterior};
/// let schedule = DiscreteSchedule::linear(1000)?;
/// let posterior = Posterior::between(schedule.level(500), schedule.level(499));
/// assert!((posterior.variance - 0.010031355414613688).abs() < 1e-15);
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Posterior {
    /// The mean's coefficient of x_t.
    pub of_x_t: f64,
    /// The mean's coefficient of x₀.
    pub of_x0: f64,
    /// `β̃ ≥ 0`, the variance of every coordinate.
    pub variance: f64,
}

impl Posterior {
    /// The posterior of level `s` given a sample at the noisier `t`.
    pub fn between(t: NoiseLevel, s: NoiseLevel) -> Self {
        let c = innovation(t, s);
        // Equal levels: nothing is to be learned from x₀.
        let of_x_t = if c == 0.0 {
            1.0
        } else {
            (t.log_alpha() - s.log_alpha() + 2.0 * (s.log_sigma() - t.log_sigma())).exp()
        };
        Self { of_x_t, of_x0: s.alpha() * c, variance: s.sigma().powi(2) * c }
    }

    /// `a·x_t + b·x₀`.
    pub fn mean<S: State>(&self, x_t: &S, x0: &S) -> S {
        S::linear_combination(&[(self.of_x_t, x_t), (self.of_x0, x0)])
    }
}

/// The variance that a network interpolates between its two bounds: `exp(v·ln σ²_{t|s} + (1 − v)·ln β̃)`, v in [0, 1]
/// (Nichol & Dhariwal 2021, arXiv:2102.09672, Eq. 15).
pub fn interpolated_variance(v: f64, beta: f64, beta_tilde: f64) -> f64 {
    (v * beta.ln() + (1.0 - v) * beta_tilde.ln()).exp()
}
