//! diffusers' `scheduler_config.json`: read, written, converted, and refused with the reason.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use diffusion_math::{Parameterization, ScheduleConfig, ScheduleKind};
use diffusion_samplers::{SamplerOptions, SchedulerConfig, SetupError, TimestepSpacing};
use serde_json::{Value, json};

/// As diffusers 0.42.1 saves a DDIM scheduler.
const DDIM: &str = r#"{
  "_class_name": "DDIMScheduler",
  "_diffusers_version": "0.42.1",
  "beta_end": 0.02,
  "beta_schedule": "linear",
  "beta_start": 0.0001,
  "clip_sample": true,
  "clip_sample_range": 1.0,
  "dynamic_thresholding_ratio": 0.995,
  "num_train_timesteps": 1000,
  "prediction_type": "epsilon",
  "rescale_betas_zero_snr": false,
  "sample_max_value": 1.0,
  "set_alpha_to_one": true,
  "steps_offset": 0,
  "thresholding": false,
  "timestep_spacing": "leading",
  "trained_betas": null
}
"#;

fn read(json: &Value) -> Result<SchedulerConfig, SetupError> {
    SchedulerConfig::from_json(&json.to_string())
}

fn refusal(json: &Value) -> String {
    read(json).unwrap_err().to_string()
}

#[test]
fn a_file_is_written_as_it_was_read() {
    let config = SchedulerConfig::from_json(DDIM).unwrap();
    assert_eq!(config.to_json(), DDIM);
    assert_eq!(config.class_name(), "DDIMScheduler");
    assert_eq!(config.n_train_steps(), 1000);
    assert_eq!(config.parameterization(), Parameterization::Epsilon);
    assert_eq!(config.init_noise_sigma(), 1.0);
    assert_eq!(SchedulerConfig::from_json(&config.to_json()).unwrap(), config);
}

#[test]
fn missing_keys_have_diffusers_defaults() {
    let config = read(&json!({"_class_name": "DDIMScheduler"})).unwrap();
    assert_eq!(config.to_json(), DDIM);
    // Underscore keys are kept; so is a key of another class that Stable Diffusion 2 carries.
    let file =
        json!({"_class_name": "DDIMScheduler", "_name_or_path": "x", "skip_prk_steps": true});
    let written: Value = serde_json::from_str(&read(&file).unwrap().to_json()).unwrap();
    assert_eq!(written["_name_or_path"], "x");
    assert_eq!(written["skip_prk_steps"], true);
}

#[test]
fn what_is_unknown_is_named() {
    let text = SchedulerConfig::from_json("[1]").unwrap_err().to_string();
    assert!(text.contains("scheduler file"), "{text}");
    let text = refusal(&json!({"beta_start": 0.1}));
    assert!(
        text.contains("_class_name") && text.contains("DDPMScheduler, DDIMScheduler"),
        "{text}"
    );
    let text = refusal(&json!({"_class_name": "EulerScheduler"}));
    assert!(
        text.contains("`EulerScheduler`") && text.contains("DDPMScheduler, DDIMScheduler"),
        "{text}"
    );
    assert!(matches!(read(&json!({"_class_name": "ddim"})), Err(SetupError::UnknownClass { .. })));
    let text = refusal(&json!({"_class_name": "DDIMScheduler", "use_karras_sigmas": true}));
    assert!(text.contains("`use_karras_sigmas`") && text.contains("`timestep_spacing`"), "{text}");
    let text = refusal(&json!({"_class_name": "DDPMScheduler", "beta_start": "small"}));
    assert!(text.contains("DDPMScheduler, key `beta_start`") && text.contains("small"), "{text}");
    let text = refusal(&json!({"_class_name": "DDPMScheduler", "beta_schedule": "laplace"}));
    assert!(text.contains("laplace") && text.contains("`squaredcos_cap_v2`"), "{text}");
    let text = refusal(&json!({"_class_name": "DDPMScheduler", "prediction_type": "flow"}));
    assert!(text.contains("flow") && text.contains("`v_prediction`"), "{text}");
    let text =
        refusal(&json!({"_class_name": "DDPMScheduler", "variance_type": "fixed_large_log"}));
    assert!(text.contains("fixed_large_log") && text.contains("fixed_small_log"), "{text}");
    let text = refusal(&json!({"_class_name": "DDPMScheduler", "variance_type": "learned"}));
    assert!(text.contains("variance_type = learned"), "{text}");
    let text = refusal(&json!({"_class_name": "DDIMScheduler", "beta_schedule": "sigmoid"}));
    assert!(text.contains("sigmoid") && text.contains("DDIMScheduler"), "{text}");
}

#[test]
fn what_is_impossible_is_refused_with_its_number() {
    let ddpm =
        |key: &str, value: Value| refusal(&json!({"_class_name": "DDPMScheduler", key: value}));
    for (key, value, expected) in [
        ("beta_end", json!(1.5), "1.5"),
        ("beta_start", json!(-0.1), "-0.1"),
        ("beta_start", json!(0.5), "0.5"),
        ("num_train_timesteps", json!(0), "0 were given"),
        ("trained_betas", json!([0.1, 0.2]), "expected 1000, got 2"),
        ("clip_sample_range", json!(-2.0), "-2"),
    ] {
        let text = ddpm(key, value);
        assert!(text.starts_with("DDPMScheduler") && text.contains(expected), "{text}");
    }
    let text = refusal(
        &json!({"_class_name": "DDPMScheduler", "thresholding": true, "sample_max_value": 0.5}),
    );
    assert!(text.contains("sample_max_value = 0.5"), "{text}");

    let config = read(&json!({"_class_name": "DDPMScheduler"})).unwrap();
    assert!(matches!(config.grid(0), Err(SetupError::StepCount { .. })));
    assert!(matches!(config.grid(1001), Err(SetupError::StepCount { .. })));
    let offset = read(&json!({"_class_name": "DDPMScheduler", "steps_offset": 1})).unwrap();
    assert!(matches!(
        offset.grid(1000),
        Err(SetupError::TimestepOutOfRange { timestep: 1000, .. })
    ));
    // ε-prediction is refused where the grid visits pure noise, and only there.
    let zero = json!({"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true, "timestep_spacing": "trailing"});
    let text = read(&zero).unwrap().grid(10).unwrap_err().to_string();
    assert!(text.contains("999"), "{text}");
    let leading = json!({"_class_name": "DDIMScheduler", "rescale_betas_zero_snr": true});
    assert!(read(&leading).unwrap().grid(10).is_ok());
}

#[test]
fn options_of_another_class_are_refused() {
    let ddpm = read(&json!({"_class_name": "DDPMScheduler"})).unwrap();
    let refused =
        |options: SamplerOptions| ddpm.sampler::<f64>(&options).err().unwrap().to_string();
    let text = refused(SamplerOptions { eta: Some(0.5), ..SamplerOptions::default() });
    assert!(text.contains("eta = 0.5"), "{text}");
    let text =
        refused(SamplerOptions { use_clipped_model_output: true, ..SamplerOptions::default() });
    assert!(text.contains("use_clipped_model_output"), "{text}");
    let ddim = read(&json!({"_class_name": "DDIMScheduler"})).unwrap();
    let out_of_range = SamplerOptions { eta: Some(-0.5), ..SamplerOptions::default() };
    assert!(ddim.sampler::<f64>(&out_of_range).is_err());
    assert!(
        ddim.sampler::<f64>(&SamplerOptions { eta: Some(1.0), ..SamplerOptions::default() })
            .is_ok()
    );
}

#[test]
fn a_file_is_sampled_by_another_class() {
    let ddpm = json!({
        "_class_name": "DDPMScheduler", "_diffusers_version": "0.30.0", "beta_schedule": "squaredcos_cap_v2",
        "prediction_type": "v_prediction", "variance_type": "fixed_large", "clip_sample": false
    });
    let ddpm = read(&ddpm).unwrap();
    for name in ["ddim", "DDIMScheduler", "DDIM"] {
        let ddim = ddpm.with_class(name).unwrap();
        assert_eq!(ddim.class_name(), "DDIMScheduler");
        assert_eq!(ddim.schedule(), ddpm.schedule());
        assert_eq!(ddim.parameterization(), Parameterization::V);
        let written: Value = serde_json::from_str(&ddim.to_json()).unwrap();
        assert_eq!(written["clip_sample"], false);
        assert_eq!(written["set_alpha_to_one"], true);
        assert_eq!(written.get("variance_type"), None);
        assert_eq!(written["_class_name"], "DDIMScheduler");
        let back = ddim.with_class("ddpm").unwrap();
        assert_eq!(back.class_name(), "DDPMScheduler");
        assert_eq!(back.schedule(), ddpm.schedule());
    }
    assert_eq!(ddpm.with_class("ddpm").unwrap(), ddpm);
    assert!(matches!(ddpm.with_class("euler"), Err(SetupError::UnknownClass { .. })));
    let sigmoid =
        read(&json!({"_class_name": "DDPMScheduler", "beta_schedule": "sigmoid"})).unwrap();
    assert!(sigmoid.with_class("ddim").is_err());
}

#[test]
fn other_timesteps_are_chosen_and_written() {
    for class in SchedulerConfig::CLASSES {
        let config = read(&json!({"_class_name": class})).unwrap();
        for (spacing, name, first) in [
            (TimestepSpacing::Trailing, "trailing", 999.0),
            (TimestepSpacing::Leading, "leading", 900.0),
        ] {
            let config = config.clone().with_timestep_spacing(spacing);
            assert_eq!(config.grid(10).unwrap().first().time(), first);
            let written: Value = serde_json::from_str(&config.to_json()).unwrap();
            assert_eq!(written["timestep_spacing"], name);
        }
    }
}

#[test]
fn a_new_network_gets_its_scheduler() {
    for kind in [ScheduleKind::Linear, ScheduleKind::ScaledLinear, ScheduleKind::Cosine] {
        for n_steps in [50, 1000] {
            let schedule = ScheduleConfig::new(kind, n_steps);
            for config in [
                SchedulerConfig::ddpm(&schedule, Parameterization::Epsilon).unwrap(),
                SchedulerConfig::ddim(&schedule, Parameterization::V).unwrap(),
            ] {
                let tables = diffusion_math::DiscreteSchedule::try_from(&schedule).unwrap();
                assert_eq!(config.schedule(), &tables);
                let read = SchedulerConfig::from_json(&config.to_json()).unwrap();
                assert_eq!(read.schedule(), &tables, "{}", config.to_json());
            }
        }
    }
    let mut schedule = ScheduleConfig::new(ScheduleKind::Linear, 1000);
    schedule.zero_terminal_snr = true;
    let config = SchedulerConfig::ddim(&schedule, Parameterization::V).unwrap();
    assert_eq!(config.grid(10).unwrap().first().alpha(), 0.0);
    assert!(matches!(
        SchedulerConfig::ddim(&schedule, Parameterization::Epsilon),
        Err(SetupError::EpsilonAtZeroSnr { timestep: 999.0 })
    ));
    let schedule = ScheduleConfig::new(ScheduleKind::Linear, 20);
    let text = SchedulerConfig::ddpm(&schedule, Parameterization::X0).unwrap_err().to_string();
    assert!(text.contains("20 steps are too few"), "{text}");
    assert!(
        SchedulerConfig::ddim(
            &ScheduleConfig::new(ScheduleKind::Sigmoid, 100),
            Parameterization::X0
        )
        .is_err()
    );

    let clipped = config.with_clipping(Some(2.5)).unwrap();
    assert!(clipped.to_json().contains("\"clip_sample_range\": 2.5"));
    assert!(
        clipped.clone().with_clipping(None).unwrap().to_json().contains("\"clip_sample\": false")
    );
    assert!(clipped.with_clipping(Some(0.0)).is_err());
}
