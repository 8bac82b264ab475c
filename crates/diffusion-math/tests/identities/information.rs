//! Kullback–Leibler divergences of Gaussians against quadrature, and the loss of a diffusion step by three routes.

use diffusion_math::{
    DiagonalGaussian, DiscreteSchedule, FullGaussian, IsotropicGaussian, Posterior, Transition,
    diffuse, kl_isotropic,
};
use ndarray::{Array2, array};
use proptest::prelude::*;

use crate::generators::{U, beta_vec, cases, gauss1, normal};

/// `Σ h·φ(z)·f(z)` over |z| ≤ 10: the trapezoidal rule, which for a Gaussian times a polynomial is exact to rounding.
fn gaussian_quadrature(f: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 0.5;
    let weight = |z: f64| STEP * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
    (-20..=20).map(|i| f64::from(i) * STEP).map(|z| weight(z) * f(z)).sum()
}

/// Symmetric positive definite, d = 2: `QQᵀ/2 + 0.05·I`.
fn spd2() -> impl Strategy<Value = Array2<f64>> {
    [normal(), normal(), normal(), normal()].prop_map(|[a, b, c, d]| {
        let off = (a * c + b * d) / 2.0;
        array![[(a * a + b * b) / 2.0 + 0.05, off], [off, (c * c + d * d) / 2.0 + 0.05]]
    })
}

/// `R·diag(v)·Rᵀ` of a rotation, symmetric to the last bit.
fn rotated(angle: f64, variance: [f64; 2]) -> Array2<f64> {
    let (sin, cos) = angle.sin_cos();
    let off = sin * cos * (variance[0] - variance[1]);
    let along = |a: f64, b: f64| a * a * variance[0] + b * b * variance[1];
    array![[along(cos, sin), off], [off, along(sin, cos)]]
}

proptest! {
    #![proptest_config(cases(5000))]

    /// 31: KL ≥ 0, also of Gaussians that differ in the last bits.
    #[test]
    fn kl_nonneg((m_p, s_p) in gauss1(), (m_q, s_q) in gauss1(), log_change in -40.0_f64..0.0, sign in any::<bool>()) {
        let change = 1.0 + log_change.exp() * if sign { 1.0 } else { -0.999 };
        let p = DiagonalGaussian::new(&[m_p, m_q], &[s_p * s_p, s_q * s_q]).unwrap();
        let far = DiagonalGaussian::new(&[m_q, m_p], &[s_q * s_q, s_p * s_p]).unwrap();
        let near = DiagonalGaussian::new(&[m_p, m_q], &[s_p * s_p * change, s_q * s_q / change]).unwrap();
        for q in [&far, &near] {
            prop_assert!(p.kl(q) >= 0.0 && q.kl(&p) >= 0.0);
        }
        let p = IsotropicGaussian::new(&[m_p; 3], s_p * s_p).unwrap();
        let q = IsotropicGaussian::new(&[m_p; 3], s_p * s_p * change).unwrap();
        prop_assert!(p.kl(&q) >= 0.0);
        let full = |variance: f64| FullGaussian::new(&[m_p, m_q], &rotated(log_change, [variance, 2.0 * variance])).unwrap();
        prop_assert!(full(s_p * s_p).kl(&full(s_p * s_p * change)) >= 0.0);
    }

    /// 32: KL is 0 exactly for equal Gaussians and positive once a parameter moved by 1e-7 of itself.
    #[test]
    fn kl_zero_iff((mean, s) in gauss1(), moved in prop_oneof![Just(1e-7), Just(1e-5), Just(-1e-7)]) {
        let p = DiagonalGaussian::new(&[mean], &[s * s]).unwrap();
        prop_assert_eq!(p.kl(&p), 0.0);
        let wider = DiagonalGaussian::new(&[mean], &[s * s * (1.0 + moved)]).unwrap();
        let expected = moved * moved / 4.0;
        prop_assert!((p.kl(&wider) / expected - 1.0).abs() <= 1e-4, "{} {expected}", p.kl(&wider));
        let shifted = DiagonalGaussian::new(&[mean + s * moved], &[s * s]).unwrap();
        prop_assert!(p.kl(&shifted) > 0.0);
        let full = FullGaussian::new(&[mean, -mean], &rotated(mean, [s, 2.0 * s])).unwrap();
        prop_assert_eq!(full.kl(&full), 0.0);
    }

    /// 34: KL = cross-entropy − entropy.
    #[test]
    fn kl_ce_entropy(p in [gauss1(), gauss1()], q in [gauss1(), gauss1()]) {
        let gaussian = |[(m0, s0), (m1, s1)]: [(f64, f64); 2]| {
            DiagonalGaussian::new(&[m0, m1], &[s0 * s0, s1 * s1]).unwrap()
        };
        let (p, q) = (gaussian(p), gaussian(q));
        let cross_entropy = p.cross_entropy(&q);
        prop_assert!((p.kl(&q) - (cross_entropy - p.entropy())).abs() <= 1e-13 * (1.0 + cross_entropy.abs()));
        let isotropic = |g: &DiagonalGaussian| IsotropicGaussian::new(g.mean(), g.log_variance()[0].exp()).unwrap();
        let (p, q) = (isotropic(&p), isotropic(&q));
        let cross_entropy = p.cross_entropy(&q);
        prop_assert!((p.kl(&q) - (cross_entropy - p.entropy())).abs() <= 1e-13 * (1.0 + cross_entropy.abs()));
    }
}

proptest! {
    #![proptest_config(cases(500))]

    /// 33: KL against quadrature in one and two dimensions, and full covariances against diagonal ones after a rotation.
    #[test]
    fn kl_vs_quadrature(
        (m_p, s_p) in gauss1(),
        (m_q, s_q) in gauss1(),
        (cov_p, cov_q) in (spd2(), spd2()),
        mean in [normal(), normal()],
        angle in 0.0_f64..6.3,
        variances in [[0.05_f64..3.0, 0.05..3.0], [0.05..3.0, 0.05..3.0]],
    ) {
        let p = IsotropicGaussian::new(&[m_p], s_p * s_p).unwrap();
        let q = IsotropicGaussian::new(&[m_q], s_q * s_q).unwrap();
        let log_ratio = |x: f64| p.log_density(&[x]) - q.log_density(&[x]);
        let integral = gaussian_quadrature(|z| log_ratio(m_p + s_p * z));
        let kl = p.kl(&q);
        prop_assert!((kl - integral).abs() <= 1e-10 * (1.0 + kl), "{kl} {integral}");

        let p = FullGaussian::new(&[0.0, 0.0], &cov_p).unwrap();
        let q = FullGaussian::new(&mean, &cov_q).unwrap();
        // x = L·z with L the factor of p's covariance.
        let l00 = cov_p[[0, 0]].sqrt();
        let l10 = cov_p[[1, 0]] / l00;
        let l11 = (cov_p[[1, 1]] - l10 * l10).sqrt();
        let log_ratio = |x: [f64; 2]| p.log_density(&x) - q.log_density(&x);
        let integral = gaussian_quadrature(|z0| gaussian_quadrature(|z1| log_ratio([l00 * z0, l10 * z0 + l11 * z1])));
        let kl = p.kl(&q);
        prop_assert!((kl - integral).abs() <= 1e-10 * (1.0 + kl), "{kl} {integral}");

        let rotate = |x: [f64; 2]| [angle.cos() * x[0] - angle.sin() * x[1], angle.sin() * x[0] + angle.cos() * x[1]];
        let diagonal = [
            DiagonalGaussian::new(&[0.0, 0.0], &variances[0]).unwrap(),
            DiagonalGaussian::new(&mean, &variances[1]).unwrap(),
        ];
        let full = [
            FullGaussian::new(&[0.0, 0.0], &rotated(angle, variances[0])).unwrap(),
            FullGaussian::new(&rotate(mean), &rotated(angle, variances[1])).unwrap(),
        ];
        // κ: the condition of the covariance that is solved with, at most 60.
        let kappa = variances[1][0].max(variances[1][1]) / variances[1][0].min(variances[1][1]);
        let (a, b) = (diagonal[0].kl(&diagonal[1]), full[0].kl(&full[1]));
        prop_assert!((a - b).abs() <= 1e-13 * kappa * (1.0 + a), "{a} {b}");
        prop_assert!((diagonal[0].entropy() - full[0].entropy()).abs() <= 1e-13 * 60.0);
        let x = [0.3, -0.8];
        prop_assert!((diagonal[1].log_density(&x) - full[1].log_density(&rotate(x))).abs() <= 1e-12 * kappa * 60.0);
    }

    /// 37: the divergence of a reverse step is `(d/2)(r − 1 − ln r) + w·‖ε − ε̂‖²`, for σ² = β̃ and for σ² = β, by three
    /// routes: of the distributions, of the squared distance of their means, and by the loss weight.
    #[test]
    fn kl_isotropic_l2(betas in beta_vec(), at in 0.0_f64..1.0, x0 in [normal(), normal()], eps in [normal(), normal()], eps_hat in [normal(), normal()]) {
        let schedule = DiscreteSchedule::from_betas(&betas).unwrap();
        prop_assume!(schedule.n_steps() >= 2);
        let index = 2 + (at * (schedule.n_steps() - 1) as f64) as usize;
        let (t, s) = (schedule.level(index), schedule.level(index - 1));
        prop_assume!(t.alpha() > 1e-6);
        let beta = schedule.beta(index);
        let posterior = Posterior::between(t, s);

        // The truth's and the network's mean, at one x_t: x̂₀ = (x_t − σ·ε̂)/α.
        let x_t = [0, 1].map(|i| diffuse(&x0[i], &eps[i], t));
        let mean = |noise: [f64; 2]| [0, 1].map(|i| posterior.mean(&x_t[i], &((x_t[i] - t.sigma() * noise[i]) / t.alpha())));
        let (true_mean, guess) = (mean(eps), mean(eps_hat));
        let distance: f64 = (0..2).map(|i| (true_mean[i] - guess[i]).powi(2)).sum();
        let eps_distance: f64 = (0..2).map(|i| (eps[i] - eps_hat[i]).powi(2)).sum();
        // κ: the means are rounded in units of their difference; λ's rounding in units of β.
        let size = true_mean.iter().chain(&guess).fold(1.0_f64, |size, m| size.max(m.abs()))
            + x_t.iter().fold(0.0_f64, |size, x| size.max(x.abs())) / t.alpha() * posterior.of_x0;
        let kappa = size / distance.sqrt() + (1.0 + t.log_snr().0.abs()) / beta;
        let tolerance = (1e-12_f64).max(64.0 * U * kappa);

        let v = |index| schedule.one_minus_alpha_bar(index);
        let weights = [
            (posterior.variance, beta / (2.0 * (1.0 - beta) * v(index - 1))),
            (Transition::between(s, t).variance, beta / (2.0 * (1.0 - beta) * v(index))),
        ];
        for (variance, weight) in weights {
            let q = IsotropicGaussian::new(&true_mean, posterior.variance).unwrap();
            let p = IsotropicGaussian::new(&guess, variance).unwrap();
            let of_distributions = q.kl(&p);
            let of_distance = kl_isotropic(2, distance, posterior.variance.ln(), variance.ln());
            let by_weight = kl_isotropic(2, 0.0, posterior.variance.ln(), variance.ln()) + weight * eps_distance;
            prop_assert!((of_distributions - by_weight).abs() <= tolerance * by_weight, "{of_distributions} {by_weight}");
            prop_assert!((of_distance - by_weight).abs() <= tolerance * by_weight, "{of_distance} {by_weight}");
        }
        let from_snr = 0.5 * (s.log_snr().0 - t.log_snr().0).exp_m1();
        prop_assert!((from_snr / weights[0].1 - 1.0).abs() <= tolerance);
    }
}

/// What is no Gaussian is refused with the number in it.
#[test]
fn impossible_gaussians_are_refused() {
    assert!(DiagonalGaussian::new(&[], &[]).is_err());
    assert!(DiagonalGaussian::new(&[0.0], &[1.0, 1.0]).is_err());
    assert!(DiagonalGaussian::new(&[f64::NAN], &[1.0]).is_err());
    let error = IsotropicGaussian::new(&[0.0], -0.25).unwrap_err();
    assert!(error.to_string().contains("-0.25"), "{error}");
    assert!(IsotropicGaussian::new(&[0.0], 0.0).is_err());
    let error = FullGaussian::new(&[0.0, 0.0], &array![[1.0, 2.0], [2.0, 1.0]]).unwrap_err();
    assert!(error.to_string().contains("-3"), "{error}");
    assert!(FullGaussian::new(&[0.0, 0.0], &array![[1.0, 0.5], [0.4, 1.0]]).is_err());
    assert!(FullGaussian::new(&[0.0], &array![[1.0, 0.0], [0.0, 1.0]]).is_err());
}
