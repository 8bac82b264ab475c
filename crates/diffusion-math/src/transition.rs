//! From one noise level to a noisier one: `q(x_t | x_s)`, s < t.

use crate::{NoiseLevel, State};

/// `c = 1 − (α_t·σ_s/(α_s·σ_t))² = −expm1(λ_t − λ_s)` in [0, 1]: the share of the noise variance at `t` that came in after
/// `s` (Kingma et al. 2021, arXiv:2107.00630, Appendix A). It is 0 for equal levels and 1 where `s` is clean or `t` is pure
/// noise.
pub fn innovation(t: NoiseLevel, s: NoiseLevel) -> f64 {
    let (from, to) = (t.log_snr().0, s.log_snr().0);
    // Equal infinities subtract to NaN; the levels are then the same.
    if from >= to { 0.0 } else { -(from - to).exp_m1() }
}

/// `q(x_t | x_s) = N(α_{t|s}·x_s, σ²_{t|s}·I)` for two levels, s the cleaner:
/// `α_{t|s} = α_t/α_s`, `σ²_{t|s} = σ_t² − α²_{t|s}·σ_s² = σ_t²·c` with c the [`innovation`], never by subtraction.
///
/// ```
/// use diffusion_math::{DiscreteSchedule, Transition};
/// let schedule = DiscreteSchedule::linear(1000)?;
/// let step = Transition::between(schedule.level(499), schedule.level(500));
/// assert!((step.variance / schedule.beta(500) - 1.0).abs() < 1e-12);
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transition {
    /// `α_{t|s} ≥ 0`.
    pub scale: f64,
    /// `σ²_{t|s} ≥ 0`.
    pub variance: f64,
}

impl Transition {
    /// The transition from `s` to the noisier `t`.
    pub fn between(s: NoiseLevel, t: NoiseLevel) -> Self {
        let scale = if s.log_alpha() == f64::NEG_INFINITY {
            1.0
        } else {
            (t.log_alpha() - s.log_alpha()).exp()
        };
        Self { scale, variance: t.sigma().powi(2) * innovation(t, s) }
    }

    /// `x_t = α_{t|s}·x_s + σ_{t|s}·ε`.
    pub fn apply<S: State>(&self, x_s: &S, eps: &S) -> S {
        S::linear_combination(&[(self.scale, x_s), (self.variance.sqrt(), eps)])
    }
}
