//! diffusers' own trajectories on the exact denoiser of a Gaussian mixture, reproduced from its scheduler files.
//!
//! `golden/schedulers.json` has every scheduler class; `golden/scheduler_options.json` goes over the options of DDPM and
//! DDIM (made by the script beside it). diffusers keeps its tables in f32, hence the tolerance.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::print_stdout)]

use diffusion_math::{
    DenoiseError, Denoiser, MixtureDenoiser, NoiseLevel, Parameterization, Prediction,
    ReplayedNoise,
};
use diffusion_samplers::{SamplerOptions, SchedulerConfig, Trajectory};
use ndarray::{ArrayD, IxDyn};
use serde_json::{Map, Value};

/// Most that a coordinate may differ from diffusers'.
const TOLERANCE: f64 = 1e-4;

fn mixture(file: &Value) -> MixtureDenoiser {
    let column = |key: &str| numbers(&file["mixture"][key]);
    let components: Vec<_> = column("w")
        .into_iter()
        .zip(column("mu"))
        .zip(column("s"))
        .map(|((w, mu), s)| (w, mu, s * s))
        .collect();
    MixtureDenoiser::one_dimensional(&components).unwrap()
}

/// The numbers of a list of lists of any depth.
fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(parts) => parts.iter().flat_map(numbers).collect(),
        number => vec![number.as_f64().unwrap()],
    }
}

fn states(value: &Value, shape: &[usize]) -> Vec<ArrayD<f64>> {
    let states = value.as_array().unwrap().iter();
    states.map(|state| ArrayD::from_shape_vec(IxDyn(shape), numbers(state)).unwrap()).collect()
}

fn max_difference(a: &ArrayD<f64>, b: &ArrayD<f64>) -> f64 {
    assert_eq!(a.shape(), b.shape());
    (a - b).iter().fold(0.0, |worst, d| if d.is_nan() { f64::NAN } else { worst.max(d.abs()) })
}

/// The case's file as diffusers would have saved it.
fn config(case: &Value) -> SchedulerConfig {
    let mut file: Map<String, Value> = case["config"].as_object().unwrap().clone();
    file.insert("_class_name".into(), case["scheduler"].clone());
    SchedulerConfig::from_json(&Value::Object(file).to_string()).unwrap()
}

fn options(case: &Value) -> SamplerOptions {
    let arguments = &case["step_kwargs"];
    SamplerOptions {
        eta: arguments["eta"].as_f64(),
        use_clipped_model_output: arguments["use_clipped_model_output"].as_bool().unwrap_or(false),
    }
}

/// The mixture, with tanh(x) as the network's output for a learned variance.
struct WithVariance<'a>(&'a MixtureDenoiser);

impl Denoiser<ArrayD<f64>> for WithVariance<'_> {
    fn denoise(
        &self,
        x_t: &ArrayD<f64>,
        level: NoiseLevel,
    ) -> Result<Prediction<ArrayD<f64>>, DenoiseError> {
        let prediction = self.0.denoise(x_t, level)?;
        Ok(prediction.with_variance_weight(x_t.mapv(|x| (x.tanh() + 1.0) / 2.0)))
    }
}

/// The largest difference of a case over all its steps.
fn run(case: &Value, shape: &[usize], n_steps: usize, mixture: &MixtureDenoiser) -> f64 {
    let config = config(case);
    let grid = config.grid(n_steps).unwrap();
    let times: Vec<f64> = grid.steps().map(|(from, _)| from.time()).collect();
    assert_eq!(times, numbers(&case["timesteps"]), "{case}");

    let sampler = config.sampler::<ArrayD<f64>>(&options(case)).unwrap();
    let with_variance = WithVariance(mixture);
    let learned = case["config"]["variance_type"] == "learned_range";
    let denoiser: &dyn Denoiser<ArrayD<f64>> = if learned { &with_variance } else { mixture };
    let mut noise = ReplayedNoise::new(states(&case["noise"], shape));
    let x_init = ArrayD::from_shape_vec(IxDyn(shape), numbers(&case["x_init"])).unwrap();
    let mut trajectory = Trajectory::new(&*sampler, denoiser, &grid, x_init, &mut noise);
    let mut worst: f64 = 0.0;
    for expected in states(&case["samples"], shape) {
        let difference = max_difference(trajectory.advance().unwrap().unwrap(), &expected);
        worst = if difference.is_nan() { f64::NAN } else { worst.max(difference) };
    }
    assert!(trajectory.advance().unwrap().is_none());
    worst
}

fn schedulers() -> Value {
    let file: Value = serde_json::from_str(include_str!("golden/schedulers.json")).unwrap();
    assert_eq!(file["source"], "diffusers 0.42.1, torch 2.13.0+cu130");
    file
}

fn run_scheduler_case(case: &Value, mixture: &MixtureDenoiser) -> f64 {
    let config = config(case);
    let prediction: Parameterization =
        serde_json::from_value(case["prediction_type"].clone()).unwrap();
    assert_eq!(config.parameterization(), prediction);
    assert_eq!(config.init_noise_sigma(), case["init_noise_sigma"].as_f64().unwrap());
    run(case, &[2, 5], case["num_inference_steps"].as_u64().unwrap() as usize, mixture)
}

#[test]
fn every_ddpm_and_ddim_case_is_reproduced() {
    let file = schedulers();
    let mixture = mixture(&file);
    let mut seen = Vec::new();
    for case in file["cases"].as_array().unwrap() {
        if !SchedulerConfig::CLASSES.contains(&case["scheduler"].as_str().unwrap()) {
            continue;
        }
        let name = case["name"].as_str().unwrap();
        let worst = run_scheduler_case(case, &mixture);
        println!("{name:24} max |difference| {worst:.2e}");
        assert!(worst <= TOLERANCE, "{name}: {worst:e}");
        seen.push(name);
    }
    let expected = [
        "ddpm-linear",
        "ddpm-cosine-x0",
        "ddpm-large-var",
        "ddim-linear-eps",
        "ddim-eta1",
        "ddim-trailing-v-zsnr",
    ];
    assert_eq!(seen, expected);
}

#[test]
fn every_option_is_reproduced() {
    let file: Value = serde_json::from_str(include_str!("golden/scheduler_options.json")).unwrap();
    assert!(file["source"].as_str().unwrap().starts_with("diffusers 0.42.1"));
    let mixture = mixture(&file);
    let shape: Vec<usize> = numbers(&file["shape"]).into_iter().map(|n| n as usize).collect();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 71);
    let mut worst_of_all: f64 = 0.0;
    for case in cases {
        let worst = run(case, &shape, case["n_steps"].as_u64().unwrap() as usize, &mixture);
        assert!(
            worst <= TOLERANCE,
            "{worst:e}: {} {} {} steps, {}",
            case["scheduler"],
            case["config"],
            case["n_steps"],
            case["step_kwargs"]
        );
        worst_of_all = worst_of_all.max(worst);
    }
    println!("71 cases, max |difference| {worst_of_all:.2e}");
}

#[test]
fn a_changed_digit_is_noticed() {
    let file = schedulers();
    let mixture = mixture(&file);
    let case = |name: &str| {
        file["cases"].as_array().unwrap().iter().find(|case| case["name"] == name).unwrap().clone()
    };
    let mut changed = case("ddim-eta1");
    let last = changed["samples"][9][1][3].as_f64().unwrap();
    changed["samples"][9][1][3] = (last + 2e-4).into();
    assert!(run_scheduler_case(&changed, &mixture) > TOLERANCE);
    let mut changed = case("ddpm-linear");
    changed["config"]["beta_end"] = 0.0201.into();
    assert!(run_scheduler_case(&changed, &mixture) > TOLERANCE);
}
