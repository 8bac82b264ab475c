//! The exact denoisers, which every test of a sampler leans on, against derivatives, quadrature and limits.

use diffusion_math::{DenoiseError, Denoiser, GaussianDenoiser, MixtureDenoiser, NoiseLevel};
use ndarray::{Array1, Array2, array};
use proptest::prelude::*;

use crate::generators::{cases, gauss1, level, normal};

/// A mixture on the line of 1 to 5 components, and its (weight, mean, variance).
fn mixture1() -> impl Strategy<Value = Vec<(f64, f64, f64)>> {
    let component = (0.05_f64..1.0, -3.0_f64..3.0, 0.02_f64..2.0);
    prop::collection::vec(component, 1..6)
}

proptest! {
    #![proptest_config(cases(1000))]

    /// 20: σ²·∇ln p = α·x̂₀ − x, with the gradient by central differences, in two dimensions.
    #[test]
    fn score_identity(
        components in prop::collection::vec((0.05_f64..1.0, [normal(), normal()], [0.05_f64..1.0, 0.05..1.0]), 1..5),
        x in [normal(), normal()],
        log_snr in -6.0_f64..6.0,
    ) {
        let borrowed: Vec<_> = components.iter().map(|(w, m, v)| (*w, m.as_slice(), v.as_slice())).collect();
        let data = MixtureDenoiser::new(&borrowed).unwrap();
        let level = level(log_snr);
        let (x0_hat, score) = (data.x0_hat(&x, level), data.score(&x, level));
        let h = 1e-4 * level.sigma().max(0.1);
        for i in 0..2 {
            let tweedie = (level.alpha() * x0_hat[i] - x[i]) / level.sigma().powi(2);
            prop_assert!((score[i] - tweedie).abs() <= 1e-12 * (1.0 + tweedie.abs()));
            let shifted = |by: f64| {
                let mut x = x;
                x[i] += by;
                data.log_density(&x, level)
            };
            let slope = (shifted(-2.0 * h) - 8.0 * shifted(-h) + 8.0 * shifted(h) - shifted(2.0 * h)) / (12.0 * h);
            prop_assert!((score[i] - slope).abs() <= 1e-5 * (1.0 + slope.abs()), "{} {slope}", score[i]);
        }
    }

    /// 24: responsibilities are those of the weights' ratios, sum to one, and are finite far away.
    #[test]
    fn logsumexp_shift(components in mixture1(), x in -1e4_f64..1e4, log_snr in -18.0_f64..18.0) {
        let data = MixtureDenoiser::one_dimensional(&components).unwrap();
        let scaled: Vec<_> = components.iter().map(|(w, m, v)| (1e3 * w, *m, *v)).collect();
        let scaled = MixtureDenoiser::one_dimensional(&scaled).unwrap();
        let (ours, theirs) = (data.responsibilities(&[x], level(log_snr)), scaled.responsibilities(&[x], level(log_snr)));
        prop_assert!((ours.iter().sum::<f64>() - 1.0).abs() <= 1e-11 * (1.0 + x * x));
        for (a, b) in ours.iter().zip(&theirs) {
            prop_assert!((a - b).abs() <= 1e-11 * (1.0 + x * x));
        }
        prop_assert!(data.x0_hat(&[x], level(log_snr))[0].is_finite());
    }

    /// 25: without signal x̂₀ is the mean of the data, without noise it is x/α; a mixture of one is the Gaussian.
    #[test]
    fn denoiser_limits(components in mixture1(), x in normal(), (mean, s) in gauss1(), log_snr in -18.0_f64..18.0) {
        let data = MixtureDenoiser::one_dimensional(&components).unwrap();
        let total: f64 = components.iter().map(|c| c.0).sum();
        let average: f64 = components.iter().map(|(w, m, _)| w * m / total).sum();
        prop_assert!((data.x0_hat(&[x], level(-40.0))[0] - average).abs() <= 1e-7);
        prop_assert!((data.x0_hat(&[x], NoiseLevel::from_scales(0.0, 1.0))[0] - average).abs() <= 1e-12);
        prop_assert!((data.x0_hat(&[x], level(40.0))[0] - x).abs() <= 1e-7);

        let gaussian = GaussianDenoiser::new(mean, s * s).unwrap();
        let one = MixtureDenoiser::one_dimensional(&[(0.3, mean, s * s)]).unwrap();
        let level = level(log_snr);
        let difference = gaussian.x0_hat(x, level) - one.x0_hat(&[x], level)[0];
        prop_assert!(difference.abs() <= 1e-12 * (1.0 + x.abs() / level.alpha()));
        let score = (gaussian.score(x, level) - one.score(&[x], level)[0]) * level.sigma().powi(2);
        prop_assert!(score.abs() <= 1e-12 * (1.0 + x.abs() + mean.abs()));
        // Tweedie's second: Var(x₀ | x_t) = (σ²/α)·∂x̂₀/∂x, exact for a line.
        let slope = gaussian.x0_hat(1.0, level) - gaussian.x0_hat(0.0, level);
        let variance = gaussian.posterior_variance(level);
        let amplified = level.sigma().powi(2) / level.alpha();
        prop_assert!((variance - amplified * slope).abs() <= 1e-12 * (variance + amplified * (1.0 + mean.abs())));
        // The flow keeps quantiles: z-scores do not change.
        let (t, s) = (level, crate::generators::level(log_snr + 3.0));
        let z = |x: f64, (mean, variance): (f64, f64)| (x - mean) / variance.sqrt();
        let flowed = z(gaussian.flow(x, t, s), gaussian.marginal(s));
        prop_assert!((flowed - z(x, gaussian.marginal(t))).abs() <= 1e-12 * (1.0 + flowed.abs()) * (1.0 + mean.abs() / s.sigma().min(1.0)));
    }
}

proptest! {
    #![proptest_config(cases(100))]

    /// 23: x̂₀ is the mean of the posterior by quadrature over x₀.
    #[test]
    fn denoiser_quadrature(components in mixture1(), x_t in normal(), log_snr in -4.0_f64..3.0) {
        let data = MixtureDenoiser::one_dimensional(&components).unwrap();
        let level = level(log_snr);
        let (alpha, sigma) = level.scales();
        let total: f64 = components.iter().map(|c| c.0).sum();
        let prior = |x0: f64| -> f64 {
            components.iter().map(|(w, m, v)| w / total / v.sqrt() * (-(x0 - m).powi(2) / (2.0 * v)).exp()).sum()
        };
        let joint = |x0: f64| prior(x0) * (-(x_t - alpha * x0).powi(2) / (2.0 * sigma * sigma)).exp();
        let lattice = (-9000..=9000).map(|i| f64::from(i) * 2e-3);
        let (mass, moment) = lattice.fold((0.0, 0.0), |(mass, moment), x0| (mass + joint(x0), moment + x0 * joint(x0)));
        prop_assert!((data.x0_hat(&[x_t], level)[0] - moment / mass).abs() <= 1e-9, "{}", moment / mass);
    }
}

/// A mixture of points is a data set: x̂₀ stays within it and ends in the nearest point (26).
#[test]
fn empirical_denoiser_hull() {
    let points = [-1.0, 0.2, 0.9];
    let data = MixtureDenoiser::one_dimensional(&points.map(|p| (1.0, p, 0.0))).unwrap();
    for x in [-9.0, -0.4, 0.5, 0.6, 7.0] {
        for log_snr in [-20.0, -2.0, 0.0, 4.0, 30.0] {
            let x0_hat = data.x0_hat(&[x], level(log_snr))[0];
            assert!((-1.0..=0.9).contains(&x0_hat), "{x} {log_snr}: {x0_hat}");
        }
    }
    assert_eq!(data.x0_hat(&[0.5], level(40.0)), [0.2]);
    assert_eq!(data.x0_hat(&[0.6], level(40.0)), [0.9]);
}

/// Arrays are batches of points, numbers are points on the line, and what is neither is refused.
#[test]
fn arrays_are_batches_of_points() {
    let level = level(0.3);
    let line = MixtureDenoiser::one_dimensional(&[(0.3, -0.8, 0.04), (0.7, 0.5, 0.1)]).unwrap();
    let plane =
        MixtureDenoiser::new(&[(0.3, &[-0.8, 0.1], &[0.04, 0.2]), (0.7, &[0.5, 0.0], &[0.1, 0.3])])
            .unwrap();
    assert_eq!((line.dimension(), plane.dimension()), (1, 2));
    let x = array![[0.1, -0.4], [1.2, 0.3], [0.0, 0.0]];
    let x0_hat = line.denoise(&x, level).unwrap().x0_hat;
    let x0_hat_plane = plane.denoise(&x, level).unwrap().x0_hat;
    for (i, point) in x.outer_iter().enumerate() {
        let point = point.to_vec();
        assert_eq!(x0_hat_plane.row(i).to_vec(), plane.x0_hat(&point, level));
        for j in 0..2 {
            assert_eq!(x0_hat[[i, j]], line.x0_hat(&[point[j]], level)[0]);
            assert_eq!(x0_hat[[i, j]], line.denoise(&point[j], level).unwrap().x0_hat);
        }
    }
    let single = x.mapv(|x| x as f32);
    let difference = plane.denoise(&single, level).unwrap().x0_hat.mapv(f64::from) - &x0_hat_plane;
    assert!(difference.iter().all(|d| d.abs() < 1e-6));
    assert!(matches!(plane.denoise(&0.5, level), Err(DenoiseError::Input(_))));
    let error = plane.denoise(&Array2::<f64>::zeros((2, 3)), level).unwrap_err();
    assert!(error.to_string().contains("[2, 3]"), "{error}");
    let gaussian = GaussianDenoiser::new(0.5, 0.25).unwrap();
    let x = Array1::from(vec![0.3_f32, -1.0]);
    assert!(
        (f64::from(gaussian.denoise(&x, level).unwrap().x0_hat[1]) - gaussian.x0_hat(-1.0, level))
            .abs()
            < 1e-7
    );
}

/// What is no mixture is refused.
#[test]
fn impossible_data_are_refused() {
    assert!(GaussianDenoiser::new(0.0, -1.0).is_err());
    assert!(GaussianDenoiser::new(f64::NAN, 1.0).is_err());
    assert!(MixtureDenoiser::new(&[]).is_err());
    assert!(MixtureDenoiser::new(&[(1.0, &[], &[])]).is_err());
    assert!(MixtureDenoiser::new(&[(1.0, &[0.0], &[1.0, 1.0])]).is_err());
    assert!(
        MixtureDenoiser::one_dimensional(&[(0.0, 0.0, 1.0)])
            .unwrap_err()
            .to_string()
            .contains("weight is 0")
    );
    assert!(MixtureDenoiser::one_dimensional(&[(1.0, 0.0, -1.0)]).is_err());
}
