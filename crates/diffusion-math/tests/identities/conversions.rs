//! Predictions: every conversion through the pair (x₀, ε) and back.

use diffusion_math::{
    MathError, NoiseLevel, Parameterization, diffuse, guidance_scale_of_weight, guided,
};
use ndarray::array;
use proptest::prelude::*;

use crate::generators::{U, cases, lam, level, normal, relative};

proptest! {
    #![proptest_config(cases(20_000))]

    /// 15: v → (x₀, ε) → v.
    #[test]
    fn v_round_trip(log_snr in lam(), x_t in normal(), v in normal()) {
        let level = level(log_snr);
        let x0 = Parameterization::V.x0_hat(&x_t, &v, level).unwrap();
        let eps = Parameterization::V.eps_hat(&x_t, &v, level).unwrap();
        prop_assert!((Parameterization::V.target(&x0, &eps, level) - v).abs() <= 16.0 * U * (1.0 + x_t.abs() + v.abs()));
        prop_assert!((diffuse(&x0, &eps, level) - x_t).abs() <= 16.0 * U * (1.0 + x_t.abs() + v.abs()));

        let (x_t, v) = (array![x_t as f32], array![v as f32]);
        let x0 = Parameterization::V.x0_hat(&x_t, &v, level).unwrap();
        let eps = Parameterization::V.eps_hat(&x_t, &v, level).unwrap();
        let back = Parameterization::V.target(&x0, &eps, level);
        prop_assert!((back[0] - v[0]).abs() <= 1e-6 * (1.0 + x_t[0].abs() + v[0].abs()));
    }

    /// The target of every parameterisation gives x₀ and ε back, also where α² + σ² ≠ 1.
    #[test]
    fn every_target_round_trips(alpha in 0.05_f64..1.0, sigma in 0.05_f64..1.0, x0 in normal(), eps in normal()) {
        let level = NoiseLevel::from_scales(alpha, sigma);
        let x_t = diffuse(&x0, &eps, level);
        let kappa = (1.0 + x0.abs() + eps.abs()) / (alpha * sigma);
        for parameterization in Parameterization::ALL {
            let target = parameterization.target(&x0, &eps, level);
            let x0_hat = parameterization.x0_hat(&x_t, &target, level).unwrap();
            let eps_hat = parameterization.eps_hat(&x_t, &target, level).unwrap();
            let output = parameterization.output(&x_t, &x0, level).unwrap();
            prop_assert!((x0_hat - x0).abs() <= 64.0 * U * kappa, "{parameterization} x0");
            prop_assert!((eps_hat - eps).abs() <= 64.0 * U * kappa, "{parameterization} eps");
            prop_assert!((output - target).abs() <= 64.0 * U * kappa, "{parameterization} output");
        }
    }

    /// 67: s = 1 and s = 0 return their input bit for bit, guidance is linear, w = s − 1, and it commutes with the
    /// conversions.
    #[test]
    fn cfg_identities(log_snr in -10.0_f64..10.0, x_t in normal(), c in normal(), u in normal(), s in 0.0_f64..15.0) {
        prop_assert_eq!(guided(&u, &c, 1.0).to_bits(), c.to_bits());
        prop_assert_eq!(guided(&u, &c, 0.0).to_bits(), u.to_bits());
        prop_assert!((guided(&u, &c, s) - (u + s * (c - u))).abs() <= 1e-12);
        let w = s - 1.0;
        prop_assert!((guided(&u, &c, guidance_scale_of_weight(w)) - ((1.0 + w) * c - w * u)).abs() <= 1e-12);
        let level = level(log_snr);
        for parameterization in Parameterization::ALL {
            let x0_of = |output: f64| parameterization.x0_hat(&x_t, &output, level).unwrap();
            let before = x0_of(guided(&u, &c, s));
            let after = guided(&x0_of(u), &x0_of(c), s);
            prop_assert!(relative(before, after) <= 1e-12 * level.noise_to_signal().max(1.0), "{before} {after}");
        }
    }
}

/// Where a prediction says nothing, that is an error with the time in it; elsewhere there is no NaN.
#[test]
fn the_ends_of_every_parameterization() {
    let noise = NoiseLevel::from_scales(0.0, 1.0).with_time(999.0);
    let clean = NoiseLevel::clean().with_time(-1.0);
    let error = Parameterization::Epsilon.x0_coefficients(noise).unwrap_err();
    assert_eq!(
        error,
        MathError::NoSignal { parameterization: Parameterization::Epsilon, time: 999.0 }
    );
    assert!(error.to_string().contains("999"), "{error}");
    assert_eq!(Parameterization::V.x0_coefficients(noise), Ok((0.0, -1.0)));
    assert_eq!(Parameterization::X0.x0_coefficients(noise), Ok((0.0, 1.0)));
    assert_eq!(Parameterization::V.eps_coefficients(noise), Ok((1.0, 0.0)));
    assert_eq!(Parameterization::V.eps_coefficients(clean), Ok((0.0, 1.0)));
    assert!(Parameterization::X0.eps_coefficients(clean).is_err());
    assert!(Parameterization::V.output_coefficients(clean).is_err());
    assert_eq!(Parameterization::V.target_coefficients(noise), (-1.0, 0.0));
    // A level without signal gives x_t no weight, however large it is.
    assert_eq!(Parameterization::V.x0_hat(&f64::MAX, &-0.5, noise), Ok(0.5));
}

/// Names in files are diffusers'.
#[test]
fn names_are_those_of_diffusers() {
    for (parameterization, name) in
        Parameterization::ALL.into_iter().zip(["\"epsilon\"", "\"sample\"", "\"v_prediction\""])
    {
        assert_eq!(serde_json::to_string(&parameterization).unwrap(), name);
        assert_eq!(serde_json::from_str::<Parameterization>(name).unwrap(), parameterization);
    }
    assert_eq!(serde_json::from_str::<Parameterization>("\"v\"").unwrap(), Parameterization::V);
    assert!(serde_json::from_str::<Parameterization>("\"flow\"").is_err());
}
