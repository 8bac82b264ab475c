//! Schedules: what is refused and how it is said, forms in configuration files, numbers of steps other than 1000.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::excessive_precision)]

use diffusion_math::{
    DiscreteSchedule, LogSnr, MathError, NoiseLevel, NoiseSchedule, ScheduleConfig, ScheduleKind,
    State,
};

#[test]
fn impossible_schedules_are_refused_with_their_numbers() {
    let text = |result: Result<DiscreteSchedule, MathError>| result.unwrap_err().to_string();
    for result in [
        DiscreteSchedule::linear(0),
        DiscreteSchedule::linear_with(1e-4, 0.02, 0),
        DiscreteSchedule::scaled_linear(1e-4, 0.02, 0),
        DiscreteSchedule::sigmoid(1e-4, 0.02, 0),
        DiscreteSchedule::cosine(0),
        DiscreteSchedule::from_betas(&[]),
    ] {
        assert_eq!(result, Err(MathError::NoSteps));
    }
    // Scaled from 1000 steps, 20 have a last β of 1, and 21 are the fewest.
    assert!(text(DiscreteSchedule::linear(20)).contains("20 steps are too few"));
    assert!(DiscreteSchedule::linear(21).is_ok());
    assert!(text(DiscreteSchedule::linear_with(1e-4, 1.0, 10)).contains("beta_end is 1,"));
    assert!(text(DiscreteSchedule::linear_with(0.0, 0.02, 10)).contains("beta_start is 0,"));
    assert!(text(DiscreteSchedule::linear_with(f64::NAN, 0.02, 10)).contains("NaN"));
    assert!(text(DiscreteSchedule::scaled_linear(1e-4, -0.02, 10)).contains("-0.02"));
    assert!(
        text(DiscreteSchedule::linear_with(0.02, 1e-4, 10))
            .contains("0.02 is above beta_end 0.0001")
    );
    let text = text(DiscreteSchedule::from_betas(&[0.1, 0.2, 1.0]));
    assert_eq!(text, "beta of step 3 is 1, allowed is 0 < beta < 1");
    assert!(DiscreteSchedule::from_betas(&[0.1, f64::NAN]).is_err());
    assert!(DiscreteSchedule::from_betas(&[0.1]).unwrap().with_zero_terminal_snr().is_err());
}

/// The noise at the end is that of 1000 steps, in any number of them.
#[test]
fn the_default_linear_schedule_is_scaled() {
    for n_steps in [50, 100, 500, 2000, 4000] {
        let terminal = DiscreteSchedule::linear(n_steps).unwrap().level(n_steps).alpha();
        assert!(terminal < 7e-3, "{n_steps} steps end with alpha = {terminal}");
    }
    // As diffusers means it, 50 unscaled steps keep 60 % of the signal's power.
    let unscaled = DiscreteSchedule::linear_with(1e-4, 0.02, 50).unwrap();
    assert!((unscaled.alpha_bar(50) - 0.603).abs() < 1e-3);
}

/// 09: the cosine schedule's β against 20 digits of mpmath, at its start and where 1 − β loses digits.
#[test]
fn cosine_stable_beta() {
    let schedule = DiscreteSchedule::cosine(1000).unwrap();
    for (step, beta) in [
        (1, 0.000041284224821777802353),
        (2, 0.000046141752736694508433),
        (3, 0.000050999481198892961278),
        (10, 0.000085011179341644370756),
        (25, 0.00015796809196520959508),
        (50, 0.00027997567217374912499),
        (200, 0.0010438950470889446704),
        (500, 0.0031458862304781963534),
        (900, 0.019544179807182091949),
        (990, 0.17353967009212493513),
        (998, 0.55555375674156284785),
    ] {
        let ours = schedule.beta(step);
        assert!((ours / beta - 1.0).abs() < 1e-14, "step {step}: {ours} {beta}");
    }
    // No β but the last is clipped, and none is zero: what integer division of t/T once made of 999 of them.
    assert!(schedule.betas().iter().all(|&beta| beta > 4e-5));
    assert_eq!(schedule.betas().iter().filter(|&&beta| beta == 0.999).count(), 1);
    for n_steps in [1, 2, 3, 10, 4000] {
        assert_eq!(DiscreteSchedule::cosine(n_steps).unwrap().n_steps(), n_steps);
    }
}

#[test]
fn configuration_forms() {
    let read = |json: &str| serde_json::from_str::<ScheduleConfig>(json);
    let config = read(r#"{"kind": "linear"}"#).unwrap();
    assert_eq!(config, ScheduleConfig::default());
    assert_eq!(DiscreteSchedule::try_from(&config), DiscreteSchedule::linear(1000));
    let config = read(
        r#"{"kind": "scaled-linear", "beta_start": 0.00085, "beta_end": 0.012, "n_steps": 100}"#,
    )
    .unwrap();
    assert_eq!(
        DiscreteSchedule::try_from(config),
        DiscreteSchedule::scaled_linear(0.00085, 0.012, 100)
    );
    let config = read(r#"{"kind": "scaled-linear", "n_steps": 500}"#).unwrap();
    assert_eq!(
        DiscreteSchedule::try_from(config),
        DiscreteSchedule::scaled_linear(0.0017, 0.024, 500)
    );
    let config = read(r#"{"kind": "cosine", "n_steps": 500, "zero_terminal_snr": true}"#).unwrap();
    assert!(DiscreteSchedule::try_from(&config).unwrap().has_zero_terminal_snr());
    assert_eq!(read(&serde_json::to_string(&config).unwrap()).unwrap(), config);

    let refusal = |json: &str| match read(json) {
        Ok(config) => DiscreteSchedule::try_from(config).unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(refusal(r#"{"kind": "cubic"}"#).contains("`cosine`"));
    assert!(refusal(r#"{"kind": "linear", "beta": 0.1}"#).contains("unknown field `beta`"));
    assert!(refusal(r#"{"kind": "linear", "beta_start": 0.1}"#).contains("without beta_end"));
    assert!(refusal(r#"{"kind": "linear", "beta_end": 0.1}"#).contains("without beta_start"));
    assert!(
        refusal(r#"{"kind": "cosine", "beta_end": 0.1, "beta_start": 0.1}"#).contains("`cosine`")
    );
    assert!(refusal(r#"{"kind": "linear", "n_steps": -5}"#).contains("-5"));
    assert!(refusal(r#"{"kind": "linear", "n_steps": 0}"#).contains("at least one step"));
    assert!(refusal(r#"{"kind": "linear", "beta_start": 0.1, "beta_end": 1.5}"#).contains("1.5"));
    for kind in [
        ScheduleKind::Linear,
        ScheduleKind::ScaledLinear,
        ScheduleKind::Cosine,
        ScheduleKind::Sigmoid,
    ] {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
    }
}

#[test]
fn levels_between_indices() {
    let schedule = DiscreteSchedule::linear(1000).unwrap();
    assert_eq!(schedule.at(0.5), schedule.level(500));
    assert_eq!(schedule.at(0.0), schedule.level(0));
    assert_eq!(schedule.at(2.0).alpha(), schedule.level(1000).alpha());
    let between = schedule.at(0.5004);
    assert!((between.time() - 499.4).abs() < 1e-9);
    let expected = 0.6 * schedule.log_snr(500).0 + 0.4 * schedule.log_snr(501).0;
    assert!((between.log_snr().0 - expected).abs() < 1e-9);
    assert!((schedule.index_of(LogSnr(expected)) - 500.4).abs() < 1e-9);
    assert_eq!(schedule.index_of(schedule.log_snr(700)), 700.0);
}

#[test]
fn levels_at_the_ends() {
    let noise = NoiseLevel::from_scales(0.0, 1.0);
    assert_eq!((noise.log_snr().0, noise.noise_to_signal()), (f64::NEG_INFINITY, f64::INFINITY));
    assert_eq!(
        (NoiseLevel::clean().log_snr().0, NoiseLevel::clean().noise_to_signal()),
        (f64::INFINITY, 0.0)
    );
    assert!(noise.time().is_nan());
    for log_snr in [-1500.0, -700.0, 0.0, 700.0, 1500.0] {
        let level = NoiseLevel::variance_preserving(LogSnr(log_snr));
        assert!((level.alpha().powi(2) + level.sigma().powi(2) - 1.0).abs() < 1e-15);
        assert!((level.log_snr().0 - log_snr).abs() <= 1e-12 * log_snr.abs());
    }
    assert_eq!(LogSnr(3.0).half().full(), LogSnr(3.0));
}

#[test]
fn numbers_are_states() {
    assert_eq!(f64::linear_combination(&[(2.0, &3.0), (-1.0, &0.5)]), 5.5);
    assert_eq!(State::clamp(&-3.0, 2.0), -2.0);
    assert_eq!(2.0.threshold_dynamically(0.5, 1.5), Some(1.0));
    assert_eq!(2.0.threshold_dynamically(0.5, 4.0), Some(1.0));
    assert_eq!(0.5.threshold_dynamically(0.5, 4.0), Some(0.5));
    assert_eq!(3.0.times_exp(2.0, &0.0), Some(3.0));
    assert!(!State::is_finite(&f64::NAN));
}
