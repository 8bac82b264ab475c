//! The cosine schedule's β in a form that keeps its digits.
//!
//! The paper's `1 − f(t)/f(t−1)` subtracts nearly equal numbers and integer division of `t/T` makes all but one β zero;
//! both have shipped in libraries. Here `1 − cos²θ_t/cos²θ_{t−1} = sin δ·sin(θ_t + θ_{t−1})/cos²θ_{t−1}`.

use std::f64::consts::FRAC_PI_2;

/// Nichol & Dhariwal 2021 (arXiv:2102.09672), below Eq. 17.
const OFFSET: f64 = 0.008;
/// β is clipped here, which makes the last step finite.
const LARGEST_BETA: f64 = 0.999;

/// β and `ln(1 − β)` of steps 1 to T, T ≥ 1.
#[allow(clippy::cast_precision_loss)]
pub(super) fn betas(n_steps: usize) -> (Vec<f64>, Vec<f64>) {
    // θ_i = (i/T + s)/(1 + s)·π/2; its complement π/2 − θ_i = (1 − i/T)/(1 + s)·π/2 is exact at the end, where cos θ → 0.
    let angle = |i: usize| (i as f64 / n_steps as f64 + OFFSET) / (1.0 + OFFSET) * FRAC_PI_2;
    let cosine =
        |i: usize| ((n_steps - i) as f64 / n_steps as f64 / (1.0 + OFFSET) * FRAC_PI_2).sin();
    let sine_of_step = (FRAC_PI_2 / (n_steps as f64 * (1.0 + OFFSET))).sin();
    (1..=n_steps)
        .map(|i| {
            let before = cosine(i - 1);
            let beta = sine_of_step * (angle(i) + angle(i - 1)).sin() / (before * before);
            if beta >= LARGEST_BETA {
                (LARGEST_BETA, 0.001_f64.ln())
            } else if beta > 0.5 {
                (beta, 2.0 * (cosine(i) / before).ln())
            } else {
                (beta, (-beta).ln_1p())
            }
        })
        .unzip()
}
