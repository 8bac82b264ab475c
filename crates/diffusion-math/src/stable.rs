//! Scalar functions that keep their digits where the textbook form loses them.
//!
//! Schedules live in log space, where differences of nearly equal numbers are the rule; every formula of the workspace
//! that would subtract them goes through one of these.

/// `ln(1 + eˣ)` for any x, without overflow; absolute error of a few ulp.
pub fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// `ln(1/(1 + e⁻ˣ)) = −softplus(−x)`.
pub fn log_sigmoid(x: f64) -> f64 {
    -softplus(-x)
}

/// `1/(1 + e⁻ˣ)` without overflow at either end.
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `ln(1 − eˣ)` for x ≤ 0 (−∞ at 0); the switch at −ln 2 is Mächler's (2012, *Accurately computing log(1 − exp(−|a|))*).
pub fn log1mexp(x: f64) -> f64 {
    if x > -std::f64::consts::LN_2 { (-x.exp_m1()).ln() } else { (-x.exp()).ln_1p() }
}

/// `ln Σ eˣⁱ`; −∞ for an empty sum.
pub fn log_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest.is_infinite() {
        return largest;
    }
    largest + terms.map(|x| (x - largest).exp()).sum::<f64>().ln()
}

/// `φ₂(x) = (eˣ − 1 − x)/x²`, by its series where `|x| < 1`; `φ₂(0) = ½`.
pub fn phi2(x: f64) -> f64 {
    if x.abs() >= 1.0 {
        return (x.exp_m1() - x) / (x * x);
    }
    // Σⱼ xʲ/(j+2)!, 18 terms, summed from the smallest: 1/2·(1 + x/3·(1 + x/4·(1 + …))).
    0.5 * (3..=20).rev().fold(1.0, |sum, j| 1.0 + x / f64::from(j) * sum)
}

/// `eˣ − 1 − x = x²·φ₂(x) ≥ 0`, the core of every Gaussian KL.
pub fn exp_m1_minus_x(x: f64) -> f64 {
    if x == f64::NEG_INFINITY { f64::INFINITY } else { x * x * phi2(x) }
}

#[cfg(test)]
#[allow(clippy::float_cmp)]
mod tests {
    use super::*;

    #[test]
    fn phi2_is_continuous_where_its_two_forms_meet() {
        for x in [-1.0, 1.0] {
            let (inside, outside) = (phi2(x * (1.0 - 1e-15)), phi2(x));
            assert!((inside / outside - 1.0).abs() < 2e-15, "{inside} {outside}");
        }
        assert!((phi2(0.0) - 0.5).abs() < 1e-16);
        // e − 2 and 1/e, the two ends.
        assert!((phi2(1.0) - (std::f64::consts::E - 2.0)).abs() < 1e-15);
        assert!((phi2(-1.0) - (-1.0f64).exp()).abs() < 1e-15);
    }

    #[test]
    fn log1mexp_keeps_digits_at_both_ends() {
        assert!((log1mexp(-1e-300) - (1e-300f64).ln()).abs() < 1e-10);
        assert!((log1mexp(-50.0) + (-50.0f64).exp()).abs() < 1e-37);
        assert!((log1mexp(-std::f64::consts::LN_2) + std::f64::consts::LN_2).abs() < 1e-15);
        assert_eq!(log1mexp(0.0), f64::NEG_INFINITY);
    }

    #[test]
    fn softplus_and_sigmoid_have_no_overflow() {
        assert_eq!(softplus(1e4), 1e4);
        assert_eq!(softplus(-1e4), 0.0);
        assert_eq!(sigmoid(-1e4), 0.0);
        assert_eq!(sigmoid(1e4), 1.0);
        assert!((log_sigmoid(-40.0) + 40.0).abs() < 1e-14);
    }

    #[test]
    fn log_sum_exp_is_invariant_to_a_shift() {
        let xs = [-1e4, -1e4 + 1.0, -1e4 + 2.0];
        let shifted = log_sum_exp(xs.iter().map(|x| x + 1e4));
        assert!((log_sum_exp(xs.iter().copied()) + 1e4 - shifted).abs() < 1e-11);
        assert_eq!(log_sum_exp(std::iter::empty()), f64::NEG_INFINITY);
    }
}
