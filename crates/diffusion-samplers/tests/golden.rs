//! diffusers' own trajectories (diffusers 0.42.1, torch 2.13.0, f32 tables) on an exact denoiser, from `schedulers.json`.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use diffusion_math::{Denoiser, MixtureDenoiser, Parameterization, ReplayedNoise};
use diffusion_samplers::{SamplerOptions, SchedulerConfig, Trajectory};
use ndarray::Array2;
use serde_json::{Map, Value};

/// Most that a coordinate may differ from diffusers', whose tables are f32.
const TOLERANCE: f64 = 1e-4;

struct Golden {
    mixture: MixtureDenoiser,
    cases: Vec<Value>,
}

fn golden() -> Golden {
    let file: Value = serde_json::from_str(include_str!("schedulers.json")).unwrap();
    assert_eq!(file["source"], "diffusers 0.42.1, torch 2.13.0+cu130");
    let column = |key: &str| numbers(&file["mixture"][key]);
    let components: Vec<_> = column("w")
        .into_iter()
        .zip(column("mu"))
        .zip(column("s"))
        .map(|((w, mu), s)| (w, mu, s * s))
        .collect();
    Golden {
        mixture: MixtureDenoiser::one_dimensional(&components).unwrap(),
        cases: file["cases"].as_array().unwrap().clone(),
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

fn array(value: &Value) -> Array2<f64> {
    let rows: Vec<Vec<f64>> = value.as_array().unwrap().iter().map(numbers).collect();
    Array2::from_shape_vec((rows.len(), rows[0].len()), rows.concat()).unwrap()
}

fn arrays(value: &Value) -> Vec<Array2<f64>> {
    value.as_array().unwrap().iter().map(array).collect()
}

fn max_difference(a: &Array2<f64>, b: &Array2<f64>) -> f64 {
    assert_eq!(a.dim(), b.dim());
    (a - b).iter().fold(0.0, |worst, d| worst.max(d.abs()))
}

/// The case's file as diffusers would have saved it.
fn config(case: &Value) -> SchedulerConfig {
    let mut file: Map<String, Value> = case["config"].as_object().unwrap().clone();
    file.insert("_class_name".into(), case["scheduler"].clone());
    SchedulerConfig::from_json(&Value::Object(file).to_string()).unwrap()
}

/// The largest difference of a case over all its steps.
fn run(case: &Value, mixture: &MixtureDenoiser) -> f64 {
    let config = config(case);
    let prediction: Parameterization =
        serde_json::from_value(case["prediction_type"].clone()).unwrap();
    assert_eq!(config.parameterization(), prediction);
    assert_eq!(config.init_noise_sigma(), case["init_noise_sigma"].as_f64().unwrap());

    let n_steps = usize::try_from(case["num_inference_steps"].as_u64().unwrap()).unwrap();
    let grid = config.grid(n_steps).unwrap();
    let times: Vec<f64> = grid.steps().map(|(from, _)| from.time()).collect();
    assert_eq!(times, numbers(&case["timesteps"]));

    let options =
        SamplerOptions { eta: case["step_kwargs"]["eta"].as_f64(), ..SamplerOptions::default() };
    let sampler = config.sampler::<Array2<f64>>(&options).unwrap();
    let mut noise = ReplayedNoise::new(arrays(&case["noise"]));
    let mut trajectory =
        Trajectory::new(&*sampler, mixture, &grid, array(&case["x_init"]), &mut noise);
    let mut worst: f64 = 0.0;
    for (expected, output) in arrays(&case["samples"]).iter().zip(&arrays(&case["model_outputs"])) {
        let (level, x_t) = (trajectory.level(), trajectory.state().clone());
        let x0_hat = mixture.denoise(&x_t, level).unwrap().x0_hat;
        if level.alpha() > 0.0 {
            let ours = prediction.output(&x_t, &x0_hat, level).unwrap();
            worst = worst.max(max_difference(&ours, output) * level.alpha());
        }
        worst = worst.max(max_difference(trajectory.advance().unwrap().unwrap(), expected));
    }
    assert!(trajectory.advance().unwrap().is_none());
    worst
}

#[test]
fn every_ddpm_and_ddim_case_is_reproduced() {
    let Golden { mixture, cases } = golden();
    let mut seen = Vec::new();
    for case in &cases {
        if !SchedulerConfig::CLASSES.contains(&case["scheduler"].as_str().unwrap()) {
            continue;
        }
        let name = case["name"].as_str().unwrap();
        let worst = run(case, &mixture);
        println!("{name:24} max |difference| {worst:.2e}");
        assert!(worst <= TOLERANCE, "{name}: {worst:e}");
        seen.push(name);
    }
    assert_eq!(
        seen,
        [
            "ddpm-linear",
            "ddpm-cosine-x0",
            "ddpm-large-var",
            "ddim-linear-eps",
            "ddim-eta1",
            "ddim-trailing-v-zsnr"
        ]
    );
}

#[test]
fn a_changed_digit_is_noticed() {
    let Golden { mixture, cases } = golden();
    let mut case = cases.iter().find(|case| case["name"] == "ddim-eta1").unwrap().clone();
    let last = case["samples"][9][1][3].as_f64().unwrap();
    case["samples"][9][1][3] = (last + 2e-4).into();
    assert!(run(&case, &mixture) > TOLERANCE);
    let mut case = cases.iter().find(|case| case["name"] == "ddpm-linear").unwrap().clone();
    case["config"]["beta_end"] = 0.0201.into();
    assert!(run(&case, &mixture) > TOLERANCE);
}
