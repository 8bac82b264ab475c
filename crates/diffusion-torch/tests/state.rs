//! The tensor as a sampler's state: the same numbers as an ndarray array, whatever the layout.

use diffusion_math::{KeyedNoise, NoiseSource, State};
use diffusion_torch::memory_format::{is_channels_last, to_channels_last};
use diffusion_torch::testing::device;
use diffusion_torch::{TensorState, host, set_threads, threads};
use ndarray::ArrayD;
use tch::{Kind, Tensor};

fn array(tensor: &Tensor) -> ArrayD<f32> {
    let shape: Vec<usize> = tensor.size().iter().map(|size| *size as usize).collect();
    ArrayD::from_shape_vec(shape, host::to_vec(tensor).expect("f32"))
        .expect("as many as the shape has")
}

fn array_f64(tensor: &Tensor) -> ArrayD<f64> {
    let shape: Vec<usize> = tensor.size().iter().map(|size| *size as usize).collect();
    ArrayD::from_shape_vec(shape, host::to_vec(tensor).expect("f64"))
        .expect("as many as the shape has")
}

/// A fixed tensor in [−2, 2], with elements that f32 rounds.
fn sample(shape: &[i64], salt: u64) -> Tensor {
    let state = TensorState(Tensor::zeros(shape, (Kind::Float, device())));
    KeyedNoise::new(salt).standard_normal_like(&state).expect("keyed noise has no end").clamp(2.0).0
}

#[test]
fn a_combination_is_that_of_arrays_bit_for_bit() {
    // Around the block of 1024 elements, and beyond what one thread takes.
    for shape in
        [vec![], vec![0, 3], vec![1], vec![7, 146], vec![2, 512], vec![5, 205], vec![3, 7, 41, 61]]
    {
        let tensors: Vec<TensorState> =
            (0..5).map(|salt| TensorState(sample(&shape, salt))).collect();
        let coefficients = [0.25, -1.0 / 3.0, 1e-3, 7.0, -0.9];
        for n_terms in 1..=5 {
            let terms: Vec<_> = coefficients.iter().copied().zip(&tensors).take(n_terms).collect();
            let arrays: Vec<_> = terms.iter().map(|(_, x)| array(&x.0)).collect();
            let terms_of_arrays: Vec<_> = coefficients.iter().copied().zip(&arrays).collect();
            let (got, want) = (
                TensorState::linear_combination(&terms),
                State::linear_combination(&terms_of_arrays),
            );
            if device() == tch::Device::Cpu {
                assert_eq!(array(&got.0), want, "{shape:?}, {n_terms} terms");
            } else {
                assert!((array(&got.0) - want).iter().all(|difference| difference.abs() < 1e-5));
            }
        }
    }
}

#[test]
fn a_combination_is_rounded_once_on_the_cpu() {
    let (x, y) = (TensorState(sample(&[9], 0)), TensorState(sample(&[9], 0)));
    let difference = TensorState::linear_combination(&[(1.0, &x), (1e-9, &x), (-1.0, &y)]);
    assert_eq!(difference.0.size(), [9]);
    if device() == tch::Device::Cpu {
        let relative = (difference.0 / (x.0 * 1e-9) - 1.0).abs().max().double_value(&[]);
        assert!(relative < 1e-6, "{relative}"); // in f32 all of it would be lost
    }
}

#[test]
fn layouts_and_kinds_may_differ_between_terms() {
    let x = sample(&[2, 3, 4, 5], 1);
    let last = TensorState(to_channels_last(&x).expect("four dimensions"));
    let plain = TensorState(x);
    let mixed = TensorState::linear_combination(&[(2.0, &plain), (-2.0, &last)]);
    assert_eq!(mixed.0, plain.0.zeros_like());
    let same = TensorState::linear_combination(&[(2.0, &last), (1.0, &last)]);
    assert!(is_channels_last(&same.0).expect("a tensor"));
    assert!((same.0 - &plain.0 * 3.0).abs().max().double_value(&[]) < 1e-6);
    for kind in [Kind::BFloat16, Kind::Half, Kind::Double] {
        let low = TensorState(plain.0.to_kind(kind));
        let sum = TensorState::linear_combination(&[(0.5, &low), (0.5, &low)]);
        assert_eq!(sum.0.kind(), kind);
        assert_eq!(sum.0, low.0);
    }
}

#[test]
fn the_number_of_threads_changes_no_bit_of_a_combination() {
    let (x, y) = (TensorState(sample(&[4, 50_000], 2)), TensorState(sample(&[4, 50_000], 3)));
    let before = threads().expect("a number").intra_op;
    let sum = || TensorState::linear_combination(&[(0.3, &x), (0.7, &y)]).0;
    set_threads(1).expect("one is allowed");
    let one = sum();
    set_threads(2).expect("two are allowed");
    assert_eq!(one, sum());
    set_threads(before).expect("as before");
}

#[test]
fn a_combination_tracks_no_gradient() {
    let x = TensorState(sample(&[3], 4).set_requires_grad(true));
    assert!(!TensorState::linear_combination(&[(2.0, &x)]).0.requires_grad());
    assert!(!x.clamp(1.0).0.requires_grad());
}

#[test]
#[should_panic(expected = "shapes")]
fn terms_of_other_shapes_panic() {
    let (x, y) = (TensorState(sample(&[3, 2], 4)), TensorState(sample(&[2], 4)));
    let _ = TensorState::linear_combination(&[(1.0, &x), (1.0, &y)]);
}

#[test]
fn one_bad_element_is_seen() {
    let mut x = TensorState(sample(&[40, 7], 5));
    assert!(x.is_finite());
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let _ = x.0.get(17).get(3).fill_(bad);
        assert!(!x.is_finite(), "{bad}");
    }
    x = TensorState(Tensor::zeros([0, 7], (Kind::Float, device())));
    assert!(x.is_finite());
    assert!(TensorState(sample(&[2], 0).to_kind(Kind::BFloat16)).is_finite());
}

#[test]
fn clamping_and_thresholding_are_those_of_arrays() {
    for shape in [vec![3, 2, 5, 7], vec![4, 1], vec![6], vec![], vec![0, 2]] {
        let x = TensorState(sample(&shape, 6).to_kind(Kind::Double) * 3.0);
        assert_eq!(array_f64(&x.clamp(1.5).0), array_f64(&x.0).clamp(1.5));
        for (ratio, largest) in
            [(0.9, 10.0), (0.5, 1.2), (0.0, 2.0), (1.0, 0.5), (0.995, f64::INFINITY)]
        {
            let got = x.threshold_dynamically(ratio, largest).expect("tensors have it");
            let want =
                array_f64(&x.0).threshold_dynamically(ratio, largest).expect("arrays have it");
            let difference = array_f64(&got.0) - want;
            assert!(
                difference.iter().all(|d| d.abs() < 1e-14),
                "{shape:?} {ratio} {largest}: {difference}"
            );
        }
    }
}

#[test]
fn learned_variances_scale_as_arrays_do() {
    let (noise, exponent) = (TensorState(sample(&[3, 4], 7)), TensorState(sample(&[3, 4], 8)));
    let got = noise.times_exp(-3.5, &exponent).expect("tensors have it");
    let want = array(&noise.0).times_exp(-3.5, &array(&exponent.0)).expect("arrays have it");
    assert!(
        array(&got.0)
            .iter()
            .zip(&want)
            .all(|(got, want)| (got - want).abs() <= want.abs() * 1.2e-7)
    );
}

#[test]
fn noise_is_that_of_arrays_whatever_the_layout() {
    for shape in [vec![3, 2, 5, 7], vec![2, 40_000], vec![5], vec![0, 3], vec![3, 0]] {
        let like = TensorState(Tensor::zeros(&shape[..], (Kind::Float, device())));
        let source = || KeyedNoise::new(11).with_first_sample(5).with_next_draw(2);
        let (mut of_tensors, mut of_arrays) = (source(), source());
        for _ in 0..2 {
            let got = of_tensors.standard_normal_like(&like).expect("keyed noise has no end");
            let want: ArrayD<f32> =
                of_arrays.standard_normal_like(&array(&like.0)).expect("keyed noise has no end");
            assert_eq!(array(&got.0), want);
        }
        let double = TensorState(like.0.to_kind(Kind::Double));
        let got = of_tensors.standard_normal_like(&double).expect("keyed noise has no end");
        let want: ArrayD<f64> =
            of_arrays.standard_normal_like(&array_f64(&double.0)).expect("keyed noise has no end");
        assert_eq!(array_f64(&got.0), want);
    }
    let last = to_channels_last(&Tensor::zeros([2, 3, 4, 5], (Kind::BFloat16, device())))
        .expect("four dimensions");
    let noise = KeyedNoise::new(3)
        .standard_normal_like(&TensorState(last))
        .expect("keyed noise has no end")
        .0;
    assert!(is_channels_last(&noise).expect("a tensor"));
    let plain = TensorState(Tensor::zeros([2, 3, 4, 5], (Kind::Float, device())));
    let plain = KeyedNoise::new(3).standard_normal_like(&plain).expect("keyed noise has no end").0;
    assert_eq!(noise, plain.to_kind(Kind::BFloat16));
}

#[test]
fn a_split_batch_has_the_same_noise() {
    let like = |n: i64| TensorState(Tensor::zeros([n, 3, 16, 16], (Kind::Float, device())));
    let whole =
        KeyedNoise::new(1).standard_normal_like(&like(64)).expect("keyed noise has no end").0;
    let rest = KeyedNoise::new(1)
        .with_first_sample(16)
        .standard_normal_like(&like(48))
        .expect("keyed noise has no end")
        .0;
    assert_eq!(whole.narrow(0, 16, 48), rest);
}
