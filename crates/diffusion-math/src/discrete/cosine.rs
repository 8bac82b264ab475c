//! The cosine schedule's β in a form that keeps its digits.
//!
//! The paper's `1 − f(t)/f(t−1)` subtracts nearly equal numbers, and integer division of `t/T` makes all but one β zero;
//! both have shipped in libraries. Here `1 − cos²θ_i/cos²θ_{i−1} = sin δ·sin(θ_i + θ_{i−1})/cos²θ_{i−1}`.

use std::f64::consts::FRAC_PI_2;

/// Nichol & Dhariwal 2021 (arXiv:2102.09672), below Eq. 17.
const OFFSET: f64 = 0.008;
/// β is clipped here, which makes the last step finite.
const LARGEST_BETA: f64 = 0.999;

/// β and `ln(1 − β)` of steps 1 to T, T ≥ 1.
pub(super) fn betas(n_steps: usize) -> (Vec<f64>, Vec<f64>) {
    let quarter = FRAC_PI_2 / (1.0 + OFFSET);
    // θ_i, and its complement π/2 − θ_i, which keeps its digits near i = T where θ_i does not.
    let angle = |i: usize| (i as f64 / n_steps as f64 + OFFSET) * quarter;
    let complement = |i: usize| (n_steps - i) as f64 / n_steps as f64 * quarter;
    let cosine = |i: usize| complement(i).sin();
    let sine_of_sum = |i: usize, j: usize| {
        let sum = angle(i) + angle(j);
        if sum < FRAC_PI_2 { sum.sin() } else { (complement(i) + complement(j)).sin() }
    };
    let sine_of_step = (quarter / n_steps as f64).sin();
    (1..=n_steps)
        .map(|i| {
            let before = cosine(i - 1);
            let beta = sine_of_step * sine_of_sum(i, i - 1) / (before * before);
            if beta >= LARGEST_BETA {
                (LARGEST_BETA, (1e-3_f64).ln())
            } else if beta > 0.5 {
                // 1 − β has lost digits of β here.
                (beta, 2.0 * (cosine(i) / before).ln())
            } else {
                (beta, (-beta).ln_1p())
            }
        })
        .unzip()
}
