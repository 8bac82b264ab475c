//! Golden numbers, computed with 40 digits by mpmath; `golden.json` has more than this crate holds yet.

use diffusion_math::{
    DiagonalGaussian, DiscreteSchedule, FullGaussian, GaussianDenoiser, IsotropicGaussian,
    MixtureDenoiser, NoiseLevel, Posterior, Transition, innovation, interpolated_variance,
    kl_isotropic, stable,
};
use ndarray::array;
use serde_json::Value;

/// The values under an identifier.
fn golden(id: &str) -> Vec<f64> {
    let file: Value = serde_json::from_str(include_str!("../golden.json")).unwrap();
    let values = file[id]["values"].as_array().unwrap_or_else(|| panic!("golden.json has no {id}"));
    values.iter().map(|value| value.as_str().unwrap().parse().unwrap()).collect()
}

/// All values under an identifier, to a relative 1e-13.
fn assert_golden(id: &str, ours: &[f64]) {
    assert_golden_to(1e-13, id, ours);
}

fn assert_golden_to(tolerance: f64, id: &str, ours: &[f64]) {
    let golden = golden(id);
    assert_eq!(golden.len(), ours.len(), "{id}");
    for (golden, ours) in golden.iter().zip(ours) {
        assert!(
            (ours - golden).abs() <= tolerance * golden.abs(),
            "{id}: {ours} instead of {golden}"
        );
    }
}

fn linear() -> DiscreteSchedule {
    DiscreteSchedule::linear(1000).unwrap()
}

fn scaled_linear() -> DiscreteSchedule {
    DiscreteSchedule::scaled_linear(0.000_85, 0.012, 1000).unwrap()
}

#[test]
fn schedules() {
    let schedule = linear();
    assert_golden("S01", &[schedule.beta(500)]);
    assert_golden("S02", &[schedule.alpha_bar(1)]);
    assert_golden("S03", &[schedule.alpha_bar(500)]);
    assert_golden("S04", &[schedule.alpha_bar(1000)]);
    assert_golden("S05", &[schedule.level(1000).alpha()]);
    assert_golden("S06", &[schedule.log_snr(1).0]);
    assert_golden("S07", &[schedule.log_snr(500).0]);
    assert_golden("S08", &[schedule.log_snr(1000).0]);

    let schedule = scaled_linear();
    assert_golden("S09", &[schedule.alpha_bar(500)]);
    assert_golden("S10", &[schedule.alpha_bar(1000)]);
    assert_golden("S11", &[schedule.level(1000).noise_to_signal()]);
    assert_golden("S12", &[schedule.level(1).noise_to_signal()]);

    let schedule = DiscreteSchedule::cosine(1000).unwrap();
    assert_golden("S13", &[schedule.beta(1)]);
    assert_golden("S14", &[schedule.alpha_bar(500)]);
    assert_golden("S15", &[schedule.alpha_bar(999)]);
    assert_golden("S16", &[schedule.alpha_bar(1000)]);
    assert_golden("S17", &[schedule.log_snr(1000).0]);
    assert_golden("S18", &[schedule.beta(999)]);

    assert_golden("S19", &[DiscreteSchedule::sigmoid(1e-4, 0.02, 1000).unwrap().alpha_bar(1000)]);

    let schedule = scaled_linear().with_zero_terminal_snr().unwrap();
    assert_golden("S26", &[schedule.alpha_bar(500)]);
    assert_golden("S27", &[schedule.beta(999)]);
    assert_eq!(schedule.alpha_bar(1000), 0.0);
    assert_eq!(schedule.beta(1000), 1.0);
}

#[test]
fn posteriors() {
    let schedule = linear();
    let posterior = |t, s| Posterior::between(schedule.level(t), schedule.level(s));
    let all = |p: Posterior| [p.of_x_t, p.of_x0, p.variance];
    // Neighbours: λ_t − λ_s is a difference of 0.02 of numbers of size 2, which leaves 14 digits.
    assert_golden_to(1e-12, "P01", &all(posterior(500, 499)));
    assert_golden("P02", &all(posterior(500, 100)));
    assert_golden("P03", &[posterior(2, 1).variance]);
    assert_golden_to(1e-12, "P04", &[posterior(1000, 999).variance]);
    assert_golden("P05", &[posterior(2, 1).variance / schedule.beta(2)]);
    assert_golden("P07", &[interpolated_variance(0.5, schedule.beta(2), posterior(2, 1).variance)]);

    // DDIM: x_s = α_s·x̂₀ + σ_s·√(1 − η²c)·ε̂ with x̂₀ = (x_t − σ_t·ε̂)/α_t.
    let (t, s) = (schedule.level(500), schedule.level(250));
    let c = innovation(t, s);
    let of_x_t = s.alpha() / t.alpha();
    let of_eps = |eta: f64| s.sigma() * (1.0 - eta * eta * c).sqrt() - of_x_t * t.sigma();
    assert_golden("P06", &[of_x_t, of_eps(0.0), s.sigma() * c.sqrt(), of_eps(1.0)]);
}

#[test]
fn divergences() {
    let gaussian = |mean: f64, variance: f64| IsotropicGaussian::new(&[mean], variance).unwrap();
    assert_golden("K01", &[gaussian(0.0, 1.0).kl(&gaussian(1.0, 4.0))]);
    assert_golden("K02", &[gaussian(1.0, 4.0).kl(&gaussian(0.0, 1.0))]);
    let p = FullGaussian::new(&[0.0, 0.0], &array![[2.0, 0.5], [0.5, 1.0]]).unwrap();
    let q = FullGaussian::new(&[1.0, -1.0], &array![[1.0, -0.3], [-0.3, 1.5]]).unwrap();
    assert_golden("K03", &[p.kl(&q)]);
    let entropy = gaussian(0.0, 1.0).entropy();
    assert_golden("K05", &[entropy, entropy / std::f64::consts::LN_2]);
    assert_golden(
        "K08",
        &[DiagonalGaussian::new(&[0.3], &[0.25]).unwrap().kl(&DiagonalGaussian::standard(1))],
    );
}

#[test]
fn evidence_bound() {
    let ln2 = std::f64::consts::LN_2;
    // L_T = KL(q(x_T | x₀) ‖ N(0, I)) per dimension, of data with this second moment.
    let prior = |schedule: &DiscreteSchedule, second_moment: f64| {
        let last = schedule.n_steps();
        let distance = schedule.alpha_bar(last) * second_moment;
        kl_isotropic(1, distance, schedule.one_minus_alpha_bar(last).ln(), 0.0)
    };
    let schedule = linear();
    let nats = prior(&schedule, 1.0);
    assert_golden("E01", &[nats, nats / ln2, 3072.0 * nats]);
    assert_golden("E02", &[prior(&schedule, 1.0 / 3.0) / ln2]);
    let nats = prior(&scaled_linear(), 1.0);
    assert_golden("E03", &[nats / ln2, f64::from(64 * 64 * 4) * nats]);

    let weight = |t: usize| 0.5 * (schedule.log_snr(t - 1).0 - schedule.log_snr(t).0).exp_m1();
    assert_golden_to(
        2e-12,
        "E04",
        &[weight(2), weight(500), weight(1000), weight(2) / weight(500)],
    );
    let weight = |t: usize| {
        let beta = schedule.beta(t);
        beta / (2.0 * (1.0 - beta) * schedule.one_minus_alpha_bar(t))
    };
    assert_golden("E05", &[weight(1), weight(2), weight(500), weight(1000)]);

    let constant = |t: usize| {
        let (level, cleaner) = (schedule.level(t), schedule.level(t - 1));
        let beta_tilde = Posterior::between(level, cleaner).variance;
        kl_isotropic(1, 0.0, beta_tilde.ln(), Transition::between(cleaner, level).variance.ln())
    };
    let nats: f64 = (2..=1000).map(constant).sum();
    assert_golden_to(1e-12, "E06", &[nats, nats / ln2]);

    let floor = |variance: f64| {
        let data = GaussianDenoiser::new(0.0, variance).unwrap();
        // Var(ε | x_t) = (α/σ)²·Var(x₀ | x_t)
        let at =
            |level: NoiseLevel| data.posterior_variance(level) / level.noise_to_signal().powi(2);
        (1..=1000).map(|t| at(schedule.level(t))).sum::<f64>() / 1000.0
    };
    assert_golden("E10", &[floor(1.0), floor(0.25)]);
}

#[test]
fn denoisers_and_helpers() {
    let data = MixtureDenoiser::one_dimensional(&[(0.3, -1.0, 0.05), (0.7, 0.8, 0.1)]).unwrap();
    let level = NoiseLevel::from_scales(0.9, (1.0_f64 - 0.81).sqrt());
    assert_golden("M05", &[data.x0_hat(&[0.3], level)[0], data.score(&[0.3], level)[0]]);

    let p2 = |h: f64| h * stable::phi2(-h);
    let golden = golden("V02");
    for (ours, golden) in [p2(0.5), p2(1e-3)].iter().zip([golden[0], golden[2]]) {
        assert!((ours / golden - 1.0).abs() < 1e-15, "{ours} {golden}");
    }

    let schedule = linear();
    let (t, s) = (schedule.level(1000), schedule.level(500));
    let h = s.log_snr().half().0 - t.log_snr().half().0;
    assert_golden("V01", &[h, s.sigma() / t.sigma(), -s.alpha() * (-h).exp_m1()]);
}
