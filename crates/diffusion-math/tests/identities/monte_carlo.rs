//! What can only be seen in draws. Seeds are fixed; the bounds would hold for another seed with probability 1 − 1e-9.

use diffusion_math::{DiscreteSchedule, KeyedNoise, NoiseSource, NoisingChain, q_sample};
use ndarray::Array2;

/// Of each, 100,000 draws.
const SHAPE: (usize, usize) = (1000, 100);

/// Mean, variance and law of draws that should be `N(mean, variance)`: |z| ≤ 6.1; |s²/σ² − 1| ≤ 2√(x/n) + 2x/n with
/// x = 21.5 (Laurent & Massart 2000); sup |F_n − F| ≤ √(ln(2/1e-9)/2n) (Dvoretzky–Kiefer–Wolfowitz).
pub(crate) fn assert_normal(
    draws: impl Iterator<Item = f64>,
    mean: f64,
    variance: f64,
    what: &str,
) {
    let mut z: Vec<f64> = draws.map(|x| (x - mean) / variance.sqrt()).collect();
    let n = z.len() as f64;
    let average = z.iter().sum::<f64>() / n;
    assert!((average * n.sqrt()).abs() <= 6.1, "{what}: mean is off by z = {}", average * n.sqrt());
    let spread = z.iter().map(|z| z * z).sum::<f64>() / n - 1.0;
    assert!(
        spread.abs() <= 2.0 * (21.5 / n).sqrt() + 43.0 / n,
        "{what}: variance is off by {spread}"
    );
    z.sort_by(f64::total_cmp);
    let step = |i: usize, z: f64| {
        let cdf = 0.5 * erfc(-z * std::f64::consts::FRAC_1_SQRT_2);
        (cdf - i as f64 / n).abs().max((cdf - (i + 1) as f64 / n).abs())
    };
    let distance = z.iter().enumerate().fold(0.0_f64, |worst, (i, &z)| worst.max(step(i, z)));
    let bound = ((2.0_f64 / 1e-9).ln() / (2.0 * n)).sqrt();
    assert!(distance <= bound, "{what}: the law is off by {distance}, allowed {bound}");
}

/// The complementary error function to 1.2e-7 (Numerical Recipes' Chebyshev fit): ample for a bound of 1e-2.
pub(crate) fn erfc(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.5 * x.abs());
    let series = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let value = t * (-x * x + series.iter().rev().fold(0.0, |sum, c| sum * t + c)).exp();
    if x >= 0.0 { value } else { 2.0 - value }
}

/// 02: 100,000 chains of 200 steps have the closed form's law.
#[test]
fn closed_form_vs_chain_mc() {
    let schedule = DiscreteSchedule::linear(200).unwrap();
    let x0 = Array2::from_elem(SHAPE, 1.7);
    let mut noise = KeyedNoise::new(2);
    for index in [50, 200] {
        let x = NoisingChain::new(&schedule).run(&x0, index, &mut noise).unwrap();
        let (alpha, sigma) = schedule.level(index).scales();
        assert_normal(x.iter().copied(), alpha * 1.7, sigma * sigma, &format!("step {index}"));
    }
}

/// 30: draws through the public interface have the law N(√ᾱ·x₀, 1 − ᾱ), in f64 and in f32.
#[test]
fn qsample_law() {
    let schedule = DiscreteSchedule::linear(1000).unwrap();
    let x0 = Array2::from_elem(SHAPE, -0.7);
    let x0_f32 = x0.mapv(|x| x as f32);
    let mut noise = KeyedNoise::new(30);
    for index in [1, 500, 1000] {
        let level = schedule.level(index);
        let (mean, variance) = (-0.7 * level.alpha(), level.sigma().powi(2));
        let (x_t, eps) = q_sample(&x0, level, &mut noise).unwrap();
        assert_normal(x_t.iter().copied(), mean, variance, &format!("f64, index {index}"));
        assert_normal(eps.iter().copied(), 0.0, 1.0, &format!("noise, index {index}"));
        let (x_t, _) = q_sample(&x0_f32, level, &mut noise).unwrap();
        let mean = f64::from(-0.7_f32) * level.alpha();
        assert_normal(
            x_t.iter().map(|&x| f64::from(x)),
            mean,
            variance,
            &format!("f32, index {index}"),
        );
    }
}

/// The bounds notice a wrong law: a standard deviation for a variance, a mean that is off.
#[test]
fn the_bounds_have_power() {
    let draws = KeyedNoise::new(5).standard_normal_like(&Array2::<f64>::zeros(SHAPE)).unwrap();
    let fails = |mean: f64, variance: f64| {
        let draws = draws.clone();
        std::panic::catch_unwind(move || assert_normal(draws.into_iter(), mean, variance, ""))
            .is_err()
    };
    assert!(!fails(0.0, 1.0));
    assert!(fails(0.0, 1.05));
    assert!(fails(0.03, 1.0));
}
