//! Averages, norms and clipping over lists of tensors.

use diffusion_torch::testing::device;
use diffusion_torch::{
    clear_gradients, clip_grad_norm, ema_update, global_norm, gradient, gradients, host, scale,
    set_gradient,
};
use serde_json::Value;
use tch::{Kind, Tensor};

const GOLDEN: &str = include_str!("golden/optimisers.json");
const SHAPES: [&[i64]; 3] = [&[4, 3], &[5], &[2, 3, 3, 3]];

/// Parameters with the gradients that golden/optimisers.py gives them.
fn with_gradients(scale: f64) -> Vec<Tensor> {
    (0..3)
        .map(|number: i64| {
            let shape = SHAPES[number as usize];
            let n: i64 = shape.iter().product();
            let values: Vec<f32> =
                (0..n).map(|k| ((7 * k + 13 + 5 * number) % 11 - 5) as f32 / 8.0).collect();
            let parameter = Tensor::zeros(shape, (Kind::Float, device())).set_requires_grad(true);
            let gradient = host::from_slice(&values, shape)
                .expect("as many as the shape has")
                .to_device(device());
            set_gradient(&parameter, Some(&(gradient * scale))).expect("it fits");
            parameter
        })
        .collect()
}

fn present(parameters: &[Tensor]) -> Vec<Tensor> {
    gradients(parameters).expect("a list").into_iter().flatten().collect()
}

#[test]
fn clipping_is_pytorchs() {
    let golden: Value = serde_json::from_str(GOLDEN).expect("JSON");
    for case in golden["clip"].as_array().expect("cases") {
        let number = |key: &str| case[key].as_f64().expect("a number");
        let parameters = with_gradients(number("scale"));
        let norm = clip_grad_norm(&parameters, number("max_norm")).expect("it clips");
        let norm = norm.expect("there are gradients").double_value(&[]);
        assert!((norm / number("norm") - 1.0).abs() < 2e-7, "{norm}");
        for (gradient, golden) in
            present(&parameters).iter().zip(case["gradients"].as_array().expect("gradients"))
        {
            let got: Vec<f32> = host::to_vec(gradient).expect("f32");
            let want =
                golden.as_array().expect("numbers").iter().map(|x| x.as_f64().expect("a number"));
            // Two roundings in f32; on one kind of CPU the bits agree.
            assert!(
                got.iter()
                    .zip(want)
                    .all(|(got, want)| (f64::from(*got) - want).abs() <= want.abs() * 2e-7)
            );
        }
    }
}

#[test]
fn clipping_leaves_small_gradients_bit_for_bit() {
    let parameters = with_gradients(1.0);
    let before: Vec<Tensor> = present(&parameters).iter().map(Tensor::copy).collect();
    clip_grad_norm(&parameters, 1e3).expect("it clips");
    assert_eq!(present(&parameters), before);
}

#[test]
fn clipping_leaves_out_what_has_no_gradient() {
    let mut parameters = with_gradients(1.0);
    parameters.insert(1, Tensor::zeros([7], (Kind::Float, device())).set_requires_grad(true));
    let norm = clip_grad_norm(&parameters, 1.0).expect("it clips").expect("there are gradients");
    assert!((norm.double_value(&[]) - 3.335_415_8).abs() < 1e-6);
    assert!(
        (global_norm(&present(&parameters)).expect("a norm").double_value(&[]) - 1.0).abs() < 1e-6
    );
    assert!(gradient(&parameters[1]).expect("a tensor").is_none());
    clear_gradients(&parameters).expect("cleared");
    assert!(present(&parameters).is_empty());
    assert!(clip_grad_norm(&parameters, 1.0).expect("nothing to do").is_none());
    for bad in [0.0, -1.0, f64::NAN] {
        assert!(clip_grad_norm(&parameters, bad).is_err());
    }
}

#[test]
fn a_norm_that_is_not_finite_is_returned() {
    let parameters = with_gradients(1.0);
    let bad = Tensor::full([5], f64::NAN, (Kind::Float, device()));
    set_gradient(&parameters[1], Some(&bad)).expect("it fits");
    let norm = clip_grad_norm(&parameters, 1.0).expect("it clips").expect("there are gradients");
    assert!(norm.double_value(&[]).is_nan());
}

#[test]
fn the_global_norm_is_that_of_all_elements() {
    let (a, b) = (
        Tensor::full([3, 4], 2.0, (Kind::Float, device())),
        Tensor::ones([1], (Kind::Float, device())),
    );
    let norm = global_norm(&[&a, &b]).expect("a norm");
    assert!((norm.double_value(&[]) - 7.0).abs() < 1e-6); // √(12·4 + 1)
    let mut list = [a, b];
    scale(&mut list, &norm.reciprocal()).expect("one element");
    assert!((global_norm(&list).expect("a norm").double_value(&[]) - 1.0).abs() < 1e-6);
    assert!(global_norm(&Vec::<Tensor>::new()).is_err());
}

/// `a_n = dⁿ·a₀ + (1 − d)·Σ d^{n−k}·p_k`, with `p_k = k`, in f64 so that the bound is a matter of the recursion alone.
#[test]
fn the_average_follows_its_closed_form() {
    let decay = 0.9_f64;
    let mut averages = [
        Tensor::full([2, 3], 5.0, (Kind::Double, device())),
        Tensor::full([4], -1.0, (Kind::Double, device())),
    ];
    let n = 40;
    for k in 1..=n {
        let parameters: Vec<Tensor> =
            averages.iter().map(|a| a.full_like(f64::from(k)).set_requires_grad(true)).collect();
        ema_update(&mut averages, &parameters, decay).expect("the lists pair up");
    }
    let weighted: f64 = (1..=n).map(|k| decay.powi(n - k) * f64::from(k)).sum();
    for (average, start) in averages.iter().zip([5.0, -1.0]) {
        let want = decay.powi(n) * start + (1.0 - decay) * weighted;
        assert!((average - want).abs().max().double_value(&[]) < 1e-13 * want.abs());
        assert!(!average.requires_grad());
    }
}

#[test]
fn the_ends_of_the_average_are_exact() {
    let parameters = [Tensor::rand([64], (Kind::Float, device()))];
    let mut averages = [Tensor::rand([64], (Kind::Float, device()))];
    let before = averages[0].copy();
    ema_update(&mut averages, &parameters, 1.0).expect("it fits");
    assert_eq!(averages[0], before);
    ema_update(&mut averages, &parameters, 0.0).expect("it fits");
    assert_eq!(averages[0], parameters[0]);
}

#[test]
fn the_average_of_other_shapes_or_layouts() {
    let mut averages = [Tensor::zeros([2, 3, 4, 5], (Kind::Float, device()))];
    let parameter = Tensor::rand([2, 3, 4, 5], (Kind::Float, device()));
    let channels_last =
        diffusion_torch::memory_format::to_channels_last(&parameter).expect("four dimensions");
    ema_update(&mut averages, &[channels_last], 0.5)
        .expect("element by element, whatever the layout");
    assert_eq!(averages[0], &parameter * 0.5);
    let other = Tensor::zeros([3, 2, 4, 5], (Kind::Float, device()));
    assert!(ema_update(&mut averages, &[other], 0.5).is_err());
    assert!(ema_update(&mut averages, &Vec::<Tensor>::new(), 0.5).is_err());
    assert!(ema_update(&mut averages, &[parameter], 1.5).is_err());
    ema_update(&mut [], &Vec::<Tensor>::new(), 0.5).expect("nothing to do");
}
