//! Samplers that are the same rule under several names.

use diffusion_math::{LogSnr, NoiseLevel, Posterior, Transition};
use diffusion_samplers::{Ddim, Ddpm, FinalNoise, ReverseVariance};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::problems::{mixture, one_step};

fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: 5000,
        rng_seed: RngSeed::Fixed(59),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

fn level(log_snr: f64) -> NoiseLevel {
    NoiseLevel::variance_preserving(LogSnr(log_snr))
}

/// (level of x_t, level of x_s), noisier first, at most `|λ| = 14` and not closer than 1e-3.
fn levels() -> impl Strategy<Value = (NoiseLevel, NoiseLevel)> {
    (-14.0_f64..14.0, 1e-3_f64..10.0)
        .prop_map(|(log_snr, step)| (level(log_snr - step), level(log_snr)))
}

proptest! {
    #![proptest_config(cases())]

    /// 59: deterministic DDIM is DPM-Solver-1, DPM-Solver++(1) and Euler's method in σ/α.
    #[test]
    fn ddim0_is_dpm1((t, s) in levels(), x_t in -3.0_f64..3.0) {
        let data = mixture();
        let ours = one_step(&Ddim::default(), &data, (t, s), x_t, f64::NAN);
        let x0_hat = data.x0_hat(&[x_t], t)[0];
        let eps_hat = (x_t - t.alpha() * x0_hat) / t.sigma();
        let h = s.log_snr().half().0 - t.log_snr().half().0;

        let dpm_pp = s.sigma() / t.sigma() * x_t - s.alpha() * (-h).exp_m1() * x0_hat;
        prop_assert!((ours - dpm_pp).abs() <= 1e-13 * (1.0 + ours.abs()), "{ours} {dpm_pp}");
        // The noise form divides by α_t and loses as many digits as α_s/α_t has.
        let kappa = 1.0 + s.alpha() / t.alpha() * x_t.abs();
        let dpm = s.alpha() / t.alpha() * x_t - s.sigma() * h.exp_m1() * eps_hat;
        prop_assert!((ours - dpm).abs() <= 1e-13 * kappa * (1.0 + h), "{ours} {dpm}");
        let euler = x_t / t.alpha() + (s.noise_to_signal() - t.noise_to_signal()) * eps_hat;
        prop_assert!((ours - s.alpha() * euler).abs() <= 1e-13 * kappa * (1.0 + h), "{ours} {euler}");
    }

    /// 60: DDIM with η = 1 is the ancestral step with β̃ and SDE-DPM-Solver++(1), in mean and in noise.
    #[test]
    fn ddim1_is_ancestral((t, s) in levels(), x_t in -3.0_f64..3.0, noise in -3.0_f64..3.0) {
        let data = mixture();
        let ddim = one_step(&Ddim::with_eta(1.0).unwrap(), &data, (t, s), x_t, noise);
        let ancestral = one_step(&Ddpm::new(ReverseVariance::BetaTilde), &data, (t, s), x_t, noise);
        prop_assert!((ddim - ancestral).abs() <= 1e-12 * (1.0 + ddim.abs()), "{ddim} {ancestral}");
        let x0_hat = data.x0_hat(&[x_t], t)[0];
        let h = s.log_snr().half().0 - t.log_snr().half().0;
        let sde = s.sigma() / t.sigma() * (-h).exp() * x_t - s.alpha() * (-2.0 * h).exp_m1() * x0_hat
            + s.sigma() * (-(-2.0 * h).exp_m1()).sqrt() * noise;
        prop_assert!((ddim - sde).abs() <= 1e-12 * (1.0 + ddim.abs()), "{ddim} {sde}");
    }

    /// DDPM's step is a draw of the posterior with x̂₀ for x₀, for both fixed variances and the learned one between them.
    #[test]
    fn ddpm_is_the_posterior_with_a_guess((t, s) in levels(), x_t in -3.0_f64..3.0, noise in -3.0_f64..3.0) {
        let data = mixture();
        let posterior = Posterior::between(t, s);
        let mean = posterior.mean(&x_t, &data.x0_hat(&[x_t], t)[0]);
        let beta = Transition::between(s, t).variance;
        for (variance, expected) in [(ReverseVariance::BetaTilde, posterior.variance), (ReverseVariance::Beta, beta)] {
            let ours = one_step(&Ddpm::new(variance), &data, (t, s), x_t, noise);
            let expected = mean + expected.sqrt() * noise;
            prop_assert!((ours - expected).abs() <= 1e-12 * (1.0 + expected.abs()), "{ours} {expected}");
        }
    }
}

/// At the step to clean data DDPM returns x̂₀, and adds σ² = β where it is told to.
#[test]
fn the_last_step_of_ddpm() {
    let data = mixture();
    let levels = (level(6.0).with_time(0.0), NoiseLevel::clean());
    let x0_hat = data.x0_hat(&[0.4], levels.0)[0];
    let step = |sampler: &Ddpm, levels| one_step(sampler, &data, levels, 0.4, 2.0);
    let beta = Ddpm::new(ReverseVariance::Beta);
    assert_eq!(step(&beta, levels), x0_hat);
    let std = Transition::between(levels.1, levels.0).variance.sqrt();
    let always = beta.clone().with_final_noise(FinalNoise::Always);
    assert!((step(&always, levels) - (x0_hat + 2.0 * std)).abs() <= 1e-14);
    let unless = beta.with_final_noise(FinalNoise::UnlessTimeZero);
    assert_eq!(step(&unless, levels), x0_hat);
    let later = (levels.0.with_time(1.0), levels.1);
    assert!((step(&unless, later) - (x0_hat + 2.0 * std)).abs() <= 1e-14);
}
