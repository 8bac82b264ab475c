//! Zero terminal signal: a schedule whose last level is pure noise.

use super::DiscreteSchedule;
use crate::MathError;
use crate::stable::log1mexp;

impl DiscreteSchedule {
    /// The schedule shifted and scaled so that its last level is pure noise and its first level stays: `a = √ᾱ`,
    /// `a'_i = (a_i − a_T)·a_1/(a_1 − a_T)` (Lin et al. 2023, arXiv:2305.08891, Algorithm 1). Then ᾱ_T = 0 and β_T = 1, and
    /// an ε-prediction says nothing at T.
    ///
    /// # Errors
    /// A schedule of one step, whose only level is first and last.
    pub fn with_zero_terminal_snr(&self) -> Result<Self, MathError> {
        let n_steps = self.n_steps();
        if n_steps < 2 {
            return Err(MathError::RescaleTooShort { n_steps });
        }
        let log = &self.log_alpha_bar;
        let (first, last) = (log[1], log[n_steps]);
        // With r = (a_1 − a_i)/(a_1 − a_T): a'_i = a_1·(1 − r). Both r and 1 − r are quotients of differences of
        // exponentials, each taken by expm1, so that neither end cancels.
        let whole = -((last - first) / 2.0).exp_m1();
        let rescaled = |i: usize| {
            let r = -((log[i] - first) / 2.0).exp_m1() / whole;
            let log_remaining = if r < 0.5 {
                (-r).ln_1p()
            } else {
                // (a_i − a_T)/(a_1 − a_T) = e^{(L_i − L_1)/2}·(1 − e^{(L_T − L_i)/2})/whole
                (log[i] - first) / 2.0 + log1mexp((last - log[i]) / 2.0) - whole.ln()
            };
            first + 2.0 * log_remaining
        };
        let mut log_alpha_bar = vec![0.0, first];
        log_alpha_bar.extend((2..n_steps).map(rescaled));
        log_alpha_bar.push(f64::NEG_INFINITY);
        let beta = log_alpha_bar.windows(2).map(|pair| -(pair[1] - pair[0]).exp_m1()).collect();
        Ok(Self::from_log_alpha_bar(beta, log_alpha_bar))
    }
}
