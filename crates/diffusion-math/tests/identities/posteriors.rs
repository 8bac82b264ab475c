//! The posterior of a cleaner level against Bayes' rule and DDPM's own formulas.

use diffusion_math::{
    DiscreteSchedule, IsotropicGaussian, LogSnr, NoiseLevel, Posterior, Transition, diffuse,
    innovation, interpolated_variance,
};
use proptest::prelude::*;

use crate::generators::{U, beta_vec, cases, normal, schedule};

fn log_density(x: f64, mean: f64, variance: f64) -> f64 {
    IsotropicGaussian::new(&[mean], variance).unwrap().log_density(&[x])
}

proptest! {
    #![proptest_config(cases(2000))]

    /// 11: q(x_s | x_t, x₀)·q(x_t | x₀) = q(x_t | x_s)·q(x_s | x₀), in logarithms.
    #[test]
    fn posterior_bayes(
        schedule in schedule(),
        (at_t, at_s) in (0.0_f64..1.0, 0.0_f64..1.0),
        (x0, eps, fresh) in (normal(), normal(), normal()),
    ) {
        let last = schedule.n_steps() - usize::from(schedule.has_zero_terminal_snr());
        prop_assume!(last >= 2);
        // 1 ≤ s < t ≤ last
        let t = 2 + (at_t * (last - 1) as f64) as usize;
        let s = 1 + (at_s * (t - 1) as f64) as usize;
        let (t, s) = (schedule.level(t), schedule.level(s));
        let transition = Transition::between(s, t);
        let posterior = Posterior::between(t, s);
        let x_s = diffuse(&x0, &eps, s);
        let x_t = transition.apply(&x_s, &fresh);

        let backward = log_density(x_s, posterior.mean(&x_t, &x0), posterior.variance);
        let marginal_t = log_density(x_t, t.alpha() * x0, t.sigma().powi(2));
        let forward = log_density(x_t, transition.scale * x_s, transition.variance);
        let marginal_s = log_density(x_s, s.alpha() * x0, s.sigma().powi(2));
        // κ: x is rounded in units of the narrowest law's standard deviation.
        let narrowest = posterior.variance.min(transition.variance).min(s.sigma().powi(2)).sqrt();
        let kappa = 1.0 + 1e-3 * (1.0 + x0.abs()) / narrowest;
        let (left, right) = (backward + marginal_t, forward + marginal_s);
        prop_assert!((left - right).abs() <= 1e-12 * (1.0 + right.abs()) * kappa, "{left} {right}");
    }

    /// 57: the interpolated variance lies between its bounds and reaches both.
    #[test]
    fn iddpm_variance(v in 0.0_f64..1.0, beta in 1e-6_f64..0.999, ratio in 1e-3_f64..1.0) {
        let beta_tilde = ratio * beta;
        let between = interpolated_variance(v, beta, beta_tilde);
        prop_assert!(between >= beta_tilde * (1.0 - 32.0 * U) && between <= beta * (1.0 + 32.0 * U));
        prop_assert!((interpolated_variance(0.0, beta, beta_tilde) / beta_tilde - 1.0).abs() <= 32.0 * U);
        prop_assert!((interpolated_variance(1.0, beta, beta_tilde) / beta - 1.0).abs() <= 32.0 * U);
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// 13: 0 ≤ β̃ ≤ β, β̃₁ = 0, neighbours give DDPM's own coefficients, and pure noise is no special case.
    #[test]
    fn posterior_bounds(betas in beta_vec()) {
        let schedule = DiscreteSchedule::from_betas(&betas).unwrap();
        for index in 1..=schedule.n_steps() {
            let (t, s) = (schedule.level(index), schedule.level(index - 1));
            let posterior = Posterior::between(t, s);
            let beta = schedule.beta(index);
            let v = |index| schedule.one_minus_alpha_bar(index);
            let largest = Transition::between(s, t).variance;
            prop_assert!((0.0..=largest * (1.0 + 16.0 * U)).contains(&posterior.variance), "β̃ at {index}");
            // κ: β is a difference of logarithms, each rounded in units of itself.
            let tolerance = 16.0 * U * (1.0 + (t.log_alpha().abs() + t.log_sigma().abs()) / beta);
            let close = |a: f64, b: f64| (a - b).abs() <= tolerance * b.abs();
            prop_assert!(close(largest, beta), "β at {index}");
            if index == 1 {
                prop_assert_eq!(posterior.variance, 0.0);
                prop_assert_eq!((posterior.of_x_t, posterior.of_x0), (0.0, 1.0));
            } else {
                prop_assert!(close(posterior.variance, beta * v(index - 1) / v(index)), "β̃ at {index}");
                prop_assert!(close(posterior.of_x_t, (1.0 - beta).sqrt() * v(index - 1) / v(index)), "of x_t at {index}");
                let of_x0 = schedule.alpha_bar(index - 1).sqrt() * beta / v(index);
                prop_assert!(close(posterior.of_x0, of_x0), "of x0 at {index}");
            }
        }
    }
}

/// 13, its end: at α_t = 0 the posterior is N(α_s·x₀, σ_s²), and at clean s it is x₀.
#[test]
fn posterior_at_the_ends() {
    let noise = NoiseLevel::from_scales(0.0, 1.0);
    for log_snr in [-18.0, -1.0, 0.0, 3.0, 18.0] {
        let s = NoiseLevel::variance_preserving(LogSnr(log_snr));
        let posterior = Posterior::between(noise, s);
        assert_eq!(posterior.of_x_t, 0.0);
        assert_eq!(posterior.of_x0, s.alpha());
        assert_eq!(posterior.variance, s.sigma().powi(2));
        let done = Posterior::between(s, NoiseLevel::clean());
        assert_eq!((done.of_x_t, done.of_x0, done.variance), (0.0, 1.0, 0.0));
        let same = Posterior::between(s, s);
        assert_eq!((same.of_x_t, same.of_x0, same.variance), (1.0, 0.0, 0.0));
        assert_eq!(innovation(s, s), 0.0);
    }
    assert_eq!(Posterior::between(noise, noise).of_x_t, 1.0);
    assert_eq!(Posterior::between(noise, NoiseLevel::clean()).of_x0, 1.0);
}
