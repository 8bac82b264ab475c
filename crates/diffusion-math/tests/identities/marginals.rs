//! Closed-form marginals against the chain, composition of transitions, invariants of schedules.

use diffusion_math::{
    DiscreteSchedule, LogSnr, NoiseLevel, NoiseSchedule, NoisingChain, Transition,
};
use proptest::prelude::*;

use crate::generators::{U, beta_vec, cases, lam, level, relative, schedule};

proptest! {
    #![proptest_config(cases(200))]

    /// 01: the chain's running mean and variance are (√ᾱ, 1 − ᾱ) of the table, at every step.
    #[test]
    fn closed_form_vs_chain_moments(betas in beta_vec()) {
        let schedule = DiscreteSchedule::from_betas(&betas).unwrap();
        let tolerance = 4.0 * betas.len() as f64 * U + 1e-13;
        for (index, (mean, variance)) in NoisingChain::new(&schedule).moments(1.0, 0.0).enumerate() {
            let (alpha, sigma) = schedule.level(index).scales();
            prop_assert!((mean - alpha).abs() <= tolerance * alpha, "step {index}: {mean} {alpha}");
            let table = schedule.one_minus_alpha_bar(index);
            prop_assert!((variance - table).abs() <= tolerance * table, "step {index}: {variance} {table}");
            prop_assert!((variance - sigma * sigma).abs() <= tolerance * table, "step {index}: {variance} {sigma}²");
            prop_assert!((schedule.alpha_bar(index) - alpha * alpha).abs() <= tolerance * alpha * alpha);
        }
    }
}

proptest! {
    #![proptest_config(cases(20_000))]

    /// 03: two transitions compose to one, and a transition carries q(x_s | x₀) to q(x_t | x₀).
    #[test]
    fn composition(mut log_snrs in [lam(), lam(), lam()]) {
        log_snrs.sort_by(f64::total_cmp);
        let [t, s, r] = log_snrs.map(level);
        let (r_s, s_t, r_t) = (Transition::between(r, s), Transition::between(s, t), Transition::between(r, t));
        let carried = s_t.scale.powi(2) * s.sigma().powi(2) + s_t.variance;
        prop_assert!((carried - t.sigma().powi(2)).abs() <= 64.0 * U * carried, "{carried} {}", t.sigma().powi(2));
        prop_assert!((s_t.scale * s.alpha() - t.alpha()).abs() <= 64.0 * U * t.alpha());
        prop_assert!((s_t.scale * r_s.scale - r_t.scale).abs() <= 64.0 * U * r_t.scale);
        let composed = s_t.scale.powi(2) * r_s.variance + s_t.variance;
        prop_assert!((composed - r_t.variance).abs() <= 64.0 * U * r_t.variance.max(1e-300), "{composed} {}", r_t.variance);
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// 08: ᾱ₀ = 1, ᾱ ≥ 0, log-SNR falls strictly, α² + σ² = 1, β in (0, 1), or 1 where the signal ends.
    #[test]
    fn schedule_invariants(schedule in schedule()) {
        let last = schedule.n_steps();
        prop_assert_eq!(schedule.alpha_bar(0), 1.0);
        prop_assert_eq!(schedule.level(0).scales(), (1.0, 0.0));
        prop_assert_eq!(schedule.beta(0), 0.0);
        for index in 0..=last {
            let (alpha, sigma) = schedule.level(index).scales();
            prop_assert!((alpha * alpha + sigma * sigma - 1.0).abs() <= 4.0 * U, "α² + σ² at {index}");
            prop_assert!((0.0..=1.0).contains(&schedule.alpha_bar(index)));
            prop_assert_eq!(schedule.level(index).time(), index as f64 - 1.0);
            if index == 0 {
                continue;
            }
            prop_assert!(schedule.log_snr(index).0 < schedule.log_snr(index - 1).0, "log-SNR at {index}");
            let beta = schedule.beta(index);
            let ends = index == last && schedule.has_zero_terminal_snr();
            prop_assert!(beta > 0.0 && (beta < 1.0 || ends), "beta {beta} at {index}");
            // β is what separates the two levels.
            let kept = schedule.alpha_bar(index) / schedule.alpha_bar(index - 1);
            let tolerance = 64.0 * U * (1.0 + 2.0 * schedule.level(index - 1).log_alpha().abs());
            prop_assert!((1.0 - beta - kept).abs() <= tolerance, "beta {beta} against {kept} at {index}");
        }
        prop_assert_eq!(schedule.has_zero_terminal_snr(), schedule.level(last).alpha() == 0.0);
    }

    /// Between indices the level falls strictly too, and `time_of` is the inverse of `at`.
    #[test]
    fn schedule_between_indices(schedule in schedule(), times in prop::collection::vec(0.0_f64..1.0, 2..20)) {
        let mut times = times;
        times.sort_by(f64::total_cmp);
        times.dedup();
        let at = |t: f64| schedule.at(t).log_snr().0;
        for pair in times.windows(2) {
            prop_assert!(at(pair[1]) <= at(pair[0]));
        }
        for t in times {
            let level = schedule.at(t);
            let power = level.alpha().powi(2) + level.sigma().powi(2);
            prop_assert!((power - 1.0).abs() <= 4.0 * U);
            prop_assert!((level.time() + 1.0 - t * schedule.n_steps() as f64).abs() <= 1e-9);
            // What t loses by rounding of λ: the slope of λ is at least β a step.
            let slope = schedule.betas().iter().fold(1.0_f64, |least, beta| least.min(*beta)) * schedule.n_steps() as f64;
            let lost = 64.0 * U * (1.0 + level.log_snr().0.abs()) / slope.min(1.0);
            prop_assert!((schedule.time_of(level.log_snr()) - t).abs() <= lost, "{t} {}", schedule.time_of(level.log_snr()));
        }
        prop_assert_eq!(schedule.time_of(LogSnr(f64::INFINITY)), 0.0);
        prop_assert_eq!(schedule.time_of(LogSnr(f64::NEG_INFINITY)), 1.0);
    }
}

/// A transition that changes nothing, to pure noise, and from clean data.
#[test]
fn transitions_at_the_ends() {
    let (clean, noise) = (NoiseLevel::clean(), NoiseLevel::from_scales(0.0, 1.0));
    let middle = NoiseLevel::from_scales(0.6, 0.8);
    for level in [clean, middle, noise] {
        assert_eq!(Transition::between(level, level), Transition { scale: 1.0, variance: 0.0 });
        let from_clean = Transition::between(clean, level);
        assert!(relative(from_clean.scale, level.alpha()) < 4.0 * U);
        assert!(relative(from_clean.variance, level.sigma().powi(2)) < 4.0 * U);
    }
    assert_eq!(Transition::between(middle, noise), Transition { scale: 0.0, variance: 1.0 });
}
