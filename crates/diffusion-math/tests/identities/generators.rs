//! What the identities are tried on.

use diffusion_math::{DiscreteSchedule, LogSnr, NoiseLevel};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// Unit roundoff of f64.
pub(crate) const U: f64 = f64::EPSILON / 2.0;

/// The same cases in every run.
pub(crate) fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(20_240_914),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// T in 1..2000 and β log-uniform in [1e-6, ½], the last one sometimes 0.999; ln ᾱ_T stays above −600.
pub(crate) fn beta_vec() -> impl Strategy<Value = Vec<f64>> {
    let log_beta = 1e-6_f64.ln()..0.5_f64.ln();
    let betas = prop_oneof![
        prop::collection::vec(log_beta.clone(), 1..50),
        prop::collection::vec(log_beta, 1..2000)
    ];
    (betas, any::<bool>()).prop_map(|(log_betas, clipped)| {
        let mut betas: Vec<f64> = log_betas.into_iter().map(f64::exp).collect();
        let mut log_alpha_bar = 0.0;
        let keep = betas.iter().take_while(|beta| {
            log_alpha_bar += (-**beta).ln_1p();
            log_alpha_bar > -590.0
        });
        let keep = keep.count().max(1);
        betas.truncate(keep);
        if clipped {
            *betas.last_mut().unwrap() = 0.999;
        }
        betas
    })
}

/// Every discrete schedule, in any number of steps, with and without zero terminal signal.
pub(crate) fn schedule() -> impl Strategy<Value = DiscreteSchedule> {
    let ends = (1e-6_f64..1e-3, 1e-3_f64..0.05);
    let named = prop_oneof![
        (21_usize..1500).prop_map(|n| DiscreteSchedule::linear(n).unwrap()),
        (ends.clone(), 1_usize..1500)
            .prop_map(|((a, b), n)| DiscreteSchedule::linear_with(a, b, n).unwrap()),
        (ends.clone(), 1_usize..1500)
            .prop_map(|((a, b), n)| DiscreteSchedule::scaled_linear(a, b, n).unwrap()),
        (ends, 1_usize..1500).prop_map(|((a, b), n)| DiscreteSchedule::sigmoid(a, b, n).unwrap()),
        (1_usize..1500).prop_map(|n| DiscreteSchedule::cosine(n).unwrap()),
        beta_vec().prop_map(|betas| DiscreteSchedule::from_betas(&betas).unwrap()),
    ];
    (named, any::<bool>()).prop_map(|(schedule, rescaled)| {
        if rescaled && schedule.n_steps() > 1 {
            schedule.with_zero_terminal_snr().unwrap()
        } else {
            schedule
        }
    })
}

/// λ in [−18, 18].
pub(crate) fn lam() -> impl Strategy<Value = f64> {
    -18.0_f64..18.0
}

/// The variance-preserving level of a log-SNR.
pub(crate) fn level(log_snr: f64) -> NoiseLevel {
    NoiseLevel::variance_preserving(LogSnr(log_snr))
}

/// (mean in [−3, 3], standard deviation with logarithm in [−4, 2]).
pub(crate) fn gauss1() -> impl Strategy<Value = (f64, f64)> {
    (-3.0_f64..3.0, (-4.0_f64..2.0).prop_map(f64::exp))
}

/// A standard normal number.
pub(crate) fn normal() -> impl Strategy<Value = f64> {
    (0.0_f64..1.0, 0.0_f64..1.0)
        .prop_map(|(u, v)| (-2.0 * (1.0 - u).ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos())
}

/// `|a − b|/(1 + |b|)`.
pub(crate) fn relative(a: f64, b: f64) -> f64 {
    (a - b).abs() / (1.0 + b.abs())
}
