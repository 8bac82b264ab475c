//! AdamW against PyTorch's numbers, across a restart, and with what it must refuse.

use std::collections::BTreeMap;

use diffusion_torch::memory_format::{is_channels_last, make_channels_last, to_channels_last};
use diffusion_torch::testing::{cuda_or_skip, device};
use diffusion_torch::{AdamW, AdamWConfig, ParameterGroup, TorchError, host, set_gradient};
use serde_json::Value;
use tch::{Device, Kind, Tensor};

const GOLDEN: &str = include_str!("golden/optimisers.json");
const SHAPES: [&[i64]; 3] = [&[4, 3], &[5], &[2, 3, 3, 3]];

/// As `parameter` in golden/optimisers.py.
fn parameter(number: i64, device: Device) -> Tensor {
    let shape = SHAPES[number as usize];
    let n: i64 = shape.iter().product();
    let values: Vec<f32> = (0..n).map(|k| ((3 * k + number) % 7 - 3) as f32 / 4.0).collect();
    host::from_slice(&values, shape)
        .expect("as many as the shape has")
        .to_device(device)
        .set_requires_grad(true)
}

/// As `gradient` in golden/optimisers.py.
fn gradient(number: i64, step: i64, device: Device) -> Tensor {
    let shape = SHAPES[number as usize];
    let n: i64 = shape.iter().product();
    let values: Vec<f32> =
        (0..n).map(|k| ((7 * k + 13 * step + 5 * number) % 11 - 5) as f32 / 8.0).collect();
    host::from_slice(&values, shape).expect("as many as the shape has").to_device(device)
}

fn set_gradients(parameters: &[Tensor], step: i64) {
    for (i, parameter) in parameters.iter().enumerate() {
        let mut gradient = gradient(i as i64, step, parameter.device());
        if is_channels_last(parameter).expect("a tensor") {
            gradient = to_channels_last(&gradient).expect("four dimensions");
        }
        set_gradient(parameter, Some(&gradient)).expect("a gradient that fits");
    }
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("an array").iter().map(|x| x.as_f64().expect("a number")).collect()
}

fn largest_difference(tensor: &Tensor, golden: &Value) -> f64 {
    let got: Vec<f32> = host::to_vec(tensor).expect("f32");
    let want = numbers(golden);
    assert_eq!(got.len(), want.len());
    got.iter().zip(want).map(|(got, want)| (f64::from(*got) - want).abs()).fold(0.0, f64::max)
}

fn agrees_with_pytorch_on(device: Device) {
    let golden: Value = serde_json::from_str(GOLDEN).expect("JSON");
    for case in golden["adamw"].as_array().expect("cases") {
        let parameters: Vec<Tensor> = (0..3).map(|i| parameter(i, device)).collect();
        if case["channels_last"] == true {
            make_channels_last(&parameters[2]).expect("four dimensions");
        }
        let groups =
            case["groups"].as_array().expect("groups").iter().map(|group| ParameterGroup {
                parameters: numbers(&group["members"])
                    .iter()
                    .map(|i| (i.to_string(), parameters[*i as usize].shallow_clone()))
                    .collect(),
                weight_decay: group["weight_decay"].as_f64().expect("a number"),
            });
        let betas = numbers(&case["betas"]);
        let epsilon = case["eps"].as_f64().expect("a number");
        let config =
            AdamWConfig { beta1: betas[0], beta2: betas[1], epsilon, ..AdamWConfig::default() };
        let mut adamw = AdamW::with_groups(groups.collect(), config).expect("three parameters");
        for (step, rate) in (1..).zip(numbers(&case["rates"])) {
            set_gradients(&parameters, step);
            adamw.step(rate).expect("all gradients are there");
        }
        let state = adamw.state().expect("it has one");
        for (i, parameter) in parameters.iter().enumerate() {
            // One f32 step of the largest value in each; on one kind of CPU the bits agree.
            assert!(largest_difference(parameter, &case["parameters"][i]) <= 6e-8, "parameter {i}");
            assert!(
                largest_difference(&state[&format!("exp_avg.{i}")], &case["exp_avg"][i]) <= 6e-8
            );
            assert!(
                largest_difference(&state[&format!("exp_avg_sq.{i}")], &case["exp_avg_sq"][i])
                    <= 1e-9
            );
        }
    }
}

#[test]
fn the_numbers_are_pytorchs() {
    agrees_with_pytorch_on(device());
}

#[test]
fn the_numbers_are_pytorchs_on_cuda() {
    if let Some(device) = cuda_or_skip("the_numbers_are_pytorchs_on_cuda") {
        agrees_with_pytorch_on(device);
    }
}

fn named(parameters: &[Tensor]) -> Vec<(String, Tensor)> {
    parameters
        .iter()
        .enumerate()
        .map(|(i, parameter)| (format!("p{i}"), parameter.shallow_clone()))
        .collect()
}

fn steps(adamw: &mut AdamW, range: std::ops::Range<i64>) {
    for step in range {
        set_gradients(adamw.parameters(), step);
        adamw.step(1e-2 / step as f64).expect("all gradients are there");
    }
}

fn bytes_of(state: &BTreeMap<String, Tensor>) -> BTreeMap<String, (Vec<i64>, Vec<u8>)> {
    state
        .iter()
        .map(|(name, tensor)| {
            (name.clone(), (tensor.size(), host::bytes(tensor).expect("bytes").to_vec()))
        })
        .collect()
}

fn from_bytes(name: &str, shape: &[i64], bytes: &[u8], device: Device) -> Tensor {
    let kind = if name == "step" { Kind::Int64 } else { Kind::Float };
    host::from_bytes(bytes, shape, kind).expect("as many as the shape has").to_device(device)
}

/// Weights and state go through plain bytes, as through a file, into new tensors and a new optimiser.
#[test]
fn a_restart_changes_no_bit() {
    let device = device();
    for channels_last in [false, true] {
        let fresh = || {
            let parameters: Vec<Tensor> = (0..3).map(|i| parameter(i, device)).collect();
            if channels_last {
                make_channels_last(&parameters[2]).expect("four dimensions");
            }
            let adamw =
                AdamW::new(named(&parameters), AdamWConfig::default()).expect("three parameters");
            (parameters, adamw)
        };
        let (whole, mut adamw) = fresh();
        steps(&mut adamw, 1..6);
        let saved = bytes_of(&adamw.state().expect("it has one"));
        let weights: Vec<Vec<u8>> =
            whole.iter().map(|x| host::bytes(x).expect("bytes").to_vec()).collect();
        steps(&mut adamw, 6..11);

        let (resumed, mut again) = fresh();
        for (i, (parameter, bytes)) in resumed.iter().zip(&weights).enumerate() {
            tch::no_grad(|| {
                parameter.shallow_clone().copy_(&from_bytes("", SHAPES[i], bytes, device))
            });
        }
        let state = saved
            .iter()
            .map(|(name, (shape, bytes))| (name.clone(), from_bytes(name, shape, bytes, device)));
        again.load_state(&state.collect()).expect("it fits");
        assert_eq!(again.steps(), 5);
        steps(&mut again, 6..11);

        for (a, b) in whole.iter().zip(&resumed) {
            assert_eq!(host::bytes(a).expect("bytes")[..], host::bytes(b).expect("bytes")[..]);
        }
        assert_eq!(
            bytes_of(&adamw.state().expect("state")),
            bytes_of(&again.state().expect("state"))
        );
        assert_eq!(
            is_channels_last(&again.state().expect("state")["exp_avg.p2"]).expect("a tensor"),
            channels_last
        );
    }
}

#[test]
fn without_the_state_a_restart_changes_the_weights() {
    let (a, b) = (parameter(0, device()), parameter(0, device()));
    let mut one =
        AdamW::new(named(&[a.shallow_clone()]), AdamWConfig::default()).expect("one parameter");
    let mut other =
        AdamW::new(named(&[b.shallow_clone()]), AdamWConfig::default()).expect("one parameter");
    steps(&mut one, 1..6);
    tch::no_grad(|| b.shallow_clone().copy_(&a));
    steps(&mut one, 6..7);
    steps(&mut other, 6..7);
    assert!((a - b).abs().max().double_value(&[]) > 1e-4);
}

#[test]
fn gradients_of_a_channels_last_network_fit_its_parameters() {
    let device = device();
    let weight = Tensor::ones([4, 3, 3, 3], (Kind::Float, device)).set_requires_grad(true);
    make_channels_last(&weight).expect("four dimensions");
    assert!(is_channels_last(&weight).expect("a tensor") && weight.requires_grad());
    let x = to_channels_last(&Tensor::ones([2, 3, 8, 8], (Kind::Float, device)))
        .expect("four dimensions");
    let mut adamw = AdamW::new(named(&[weight.shallow_clone()]), AdamWConfig::default())
        .expect("one parameter");
    for _ in 0..3 {
        let y = x.conv2d(&weight, None::<&Tensor>, 1, 1, 1, 1);
        y.square().mean(Kind::Float).backward();
        adamw.step(0.1).expect("the gradient lies as its parameter does");
        adamw.clear_gradients().expect("cleared");
    }
    // Three steps of about 0.1 down a slope of one sign.
    assert!((weight.mean(Kind::Float).double_value(&[]) - 0.7).abs() < 0.01);
}

#[test]
fn bf16_parameters_move() {
    let weight = Tensor::ones([8], (Kind::BFloat16, device())).set_requires_grad(true);
    let mut adamw = AdamW::new(named(&[weight.shallow_clone()]), AdamWConfig::default())
        .expect("one parameter");
    weight.square().sum(Kind::BFloat16).backward();
    adamw.step(0.25).expect("there is a kernel");
    assert!((weight.double_value(&[3]) - 0.75).abs() < 0.01);
}

#[test]
fn a_parameter_without_a_gradient_is_named_and_nothing_moves() {
    let parameters: Vec<Tensor> = (0..2).map(|i| parameter(i, device())).collect();
    let before = parameters[0].detach().copy();
    let mut adamw = AdamW::new(named(&parameters), AdamWConfig::default()).expect("two parameters");
    set_gradient(&parameters[0], Some(&gradient(0, 1, device()))).expect("it fits");
    let error = adamw.step(0.1).expect_err("p1 has no gradient");
    assert!(
        matches!(&error, TorchError::MissingGradient { parameter } if parameter == "p1"),
        "{error}"
    );
    assert_eq!((adamw.steps(), parameters[0].detach() == before), (0, true));
}

#[test]
fn a_gradient_of_another_shape_or_type_is_refused() {
    let x = parameter(0, device());
    let mut adamw =
        AdamW::new(named(&[x.shallow_clone()]), AdamWConfig::default()).expect("one parameter");
    for gradient in [x.detach().reshape([3, 4]), x.detach().tr(), x.detach().to_kind(Kind::Double)]
    {
        set_gradient(&x, Some(&gradient)).expect("libtorch takes any");
        let error = adamw.step(0.1).expect_err("it does not fit");
        assert!(matches!(error, TorchError::Layout { .. }), "{error}");
    }
}

#[test]
fn the_stride_of_a_dimension_of_size_one_does_not_matter() {
    let x = Tensor::zeros([2, 1, 3], (Kind::Float, device())).set_requires_grad(true);
    let gradient =
        Tensor::ones([2, 3], (Kind::Float, device())).as_strided([2, 1, 3], [3, 77, 1], None);
    set_gradient(&x, Some(&gradient)).expect("it fits");
    let mut adamw =
        AdamW::new(named(&[x.shallow_clone()]), AdamWConfig::default()).expect("one parameter");
    adamw.step(0.5).expect("the layouts agree where it matters");
    assert!((x.mean(Kind::Float).double_value(&[]) + 0.5).abs() < 1e-6);
}

#[test]
fn a_view_with_gaps_is_refused() {
    let x = Tensor::zeros([4, 6], (Kind::Float, device()))
        .slice(1, 0, 3, 1)
        .detach()
        .set_requires_grad(true);
    set_gradient(&x, Some(&x.detach())).expect("it fits");
    let mut adamw = AdamW::new(named(&[x]), AdamWConfig::default()).expect("one parameter");
    assert!(adamw.step(0.1).expect_err("it has gaps").to_string().contains("gaps"));
}

#[test]
fn bad_input_is_refused_when_the_optimiser_is_made() {
    let x = || vec![("x".to_owned(), parameter(0, device()))];
    let refused =
        |parameters, config| AdamW::new(parameters, config).expect_err("it is bad").to_string();
    let config = AdamWConfig::default();
    assert_eq!(
        refused(x(), AdamWConfig { beta1: 1.0, ..config }),
        "beta1 = 1 is not allowed: from 0 to below 1"
    );
    assert!(refused(x(), AdamWConfig { beta2: f64::NAN, ..config }).starts_with("beta2 = NaN"));
    assert!(refused(x(), AdamWConfig { epsilon: -1.0, ..config }).starts_with("epsilon = -1"));
    assert!(
        refused(x(), AdamWConfig { weight_decay: f64::INFINITY, ..config })
            .starts_with("weight_decay = inf")
    );
    assert_eq!(refused(vec![], config), "fused AdamW takes at least one tensor");
    assert_eq!(refused(x().into_iter().chain(x()).collect(), config), "two parameters are named x");
    let integers = vec![("n".to_owned(), Tensor::zeros([2], (Kind::Int64, device())))];
    assert_eq!(refused(integers, config), "fused AdamW does not take parameter n, which is Int64");
    let mut adamw = AdamW::new(x(), config).expect("one parameter");
    assert!(adamw.step(-1.0).is_err() && adamw.step(f64::NAN).is_err());
}

#[test]
fn a_state_that_does_not_fit_is_refused_and_nothing_is_taken_over() {
    let mut adamw = AdamW::new(named(&[parameter(0, device())]), AdamWConfig::default())
        .expect("one parameter");
    steps(&mut adamw, 1..3);
    let good = bytes_of(&adamw.state().expect("state"));
    let state = || -> BTreeMap<String, Tensor> {
        good.iter()
            .map(|(name, (shape, bytes))| (name.clone(), from_bytes(name, shape, bytes, device())))
            .collect()
    };
    let change = |edit: &dyn Fn(&mut BTreeMap<String, Tensor>)| {
        let mut changed = state();
        edit(&mut changed);
        changed
    };
    let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, device()));
    let cases = [
        (change(&|s| drop(s.remove("step"))), "step is missing"),
        (change(&|s| drop(s.remove("exp_avg_sq.p0"))), "exp_avg_sq.p0 is missing"),
        (
            change(&|s| drop(s.insert("step".into(), zeros(&[], Kind::Float)))),
            "step: a tensor of Float",
        ),
        (change(&|s| drop(s.insert("step".into(), zeros(&[], Kind::Int64) - 1))), "step is -1"),
        (
            change(&|s| drop(s.insert("step".into(), zeros(&[2], Kind::Int64)))),
            "step has 2 elements",
        ),
        (
            change(&|s| drop(s.insert("exp_avg.p0".into(), zeros(&[3, 4], Kind::Float)))),
            "exp_avg.p0 is [3, 4]",
        ),
        (
            change(&|s| drop(s.insert("exp_avg.p0".into(), zeros(&[4, 3], Kind::Double)))),
            "exp_avg.p0 is [4, 3] Double",
        ),
        (
            change(&|s| drop(s.insert("exp_avg.p7".into(), zeros(&[1], Kind::Float)))),
            "exp_avg.p7 belongs to no",
        ),
    ];
    for (state, part) in cases {
        let error = adamw.load_state(&state).expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
        assert_eq!(bytes_of(&adamw.state().expect("state")), good);
    }
    adamw.load_state(&state()).expect("the good one fits");
}
