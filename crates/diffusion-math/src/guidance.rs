//! Guidance arithmetic.

use crate::State;

/// Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598): `u + s·(c − u)`, element by element.
///
/// `guidance_scale` s: 0 is unconditional, 1 is conditional (no guidance), above 1 extrapolates; both ends return their
/// input bit for bit. The same s guides x̂₀, ε̂, v̂ and scores alike, as long as nothing is clipped in between. The paper's
/// scale w is s − 1 ([`guidance_scale_of_weight`]).
///
/// ```
/// use diffusion_math::guided;
/// assert_eq!(guided(&1.0, &3.0, 7.5), 16.0);
/// assert_eq!(guided(&1.0, &3.0, 1.0), 3.0);
/// ```
#[expect(clippy::float_cmp, reason = "exactly 1 and exactly 0 are no guidance")]
pub fn guided<S: State>(unconditional: &S, conditional: &S, guidance_scale: f64) -> S {
    if guidance_scale == 1.0 {
        S::linear_combination(&[(1.0, conditional)])
    } else if guidance_scale == 0.0 {
        S::linear_combination(&[(1.0, unconditional)])
    } else {
        S::linear_combination(&[
            (1.0 - guidance_scale, unconditional),
            (guidance_scale, conditional),
        ])
    }
}

/// The `guidance_scale` s of Ho & Salimans' weight w, whose guided field is `(1 + w)·c − w·u`: s = 1 + w.
pub fn guidance_scale_of_weight(weight: f64) -> f64 {
    1.0 + weight
}
