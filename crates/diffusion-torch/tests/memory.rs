//! Memory formats, and copies between host and tensors.

use diffusion_torch::memory_format::{is_channels_last, make_channels_last, to_channels_last};
use diffusion_torch::testing::device;
use diffusion_torch::{TorchError, host};
use tch::{Device, Kind, Tensor};

fn counted(shape: &[i64]) -> Tensor {
    let n: i64 = shape.iter().product();
    Tensor::arange(n, (Kind::Float, device())).reshape(shape)
}

#[test]
fn channels_last_changes_the_strides_and_nothing_else() {
    let x = counted(&[2, 3, 4, 5]);
    let last = to_channels_last(&x).expect("four dimensions");
    assert_eq!((last.size(), last.stride()), (vec![2, 3, 4, 5], vec![60, 1, 15, 3]));
    assert_eq!(last, x);
    assert!(is_channels_last(&last).expect("a tensor") && !is_channels_last(&x).expect("a tensor"));
    assert_eq!(to_channels_last(&last).expect("four dimensions").data_ptr(), last.data_ptr());
    assert_eq!(last.contiguous().stride(), x.stride());
    for kept in [last.empty_like(), last.zeros_like(), &last * 2.0] {
        assert_eq!(kept.stride(), last.stride());
    }
}

#[test]
fn what_has_no_channels_is_refused() {
    let error = to_channels_last(&counted(&[3, 4])).expect_err("two dimensions").to_string();
    assert!(error.starts_with("to_channels_last failed in libtorch:"), "{error}");
    assert!(!is_channels_last(&counted(&[3, 4])).expect("a tensor"));
    make_channels_last(&counted(&[3, 4])).expect("left alone");
}

#[test]
fn gradients_flow_through_the_rearrangement() {
    let x = counted(&[1, 2, 2, 2]).set_requires_grad(true);
    (to_channels_last(&x).expect("four dimensions") * 3.0).sum(Kind::Float).backward();
    assert_eq!(x.grad(), x.full_like(3.0));
}

#[test]
fn a_parameter_is_rearranged_for_every_handle() {
    let store = tch::nn::VarStore::new(device());
    let weight =
        store.root().var("weight", &[4, 3, 3, 3], tch::nn::Init::Randn { mean: 0.0, stdev: 1.0 });
    let before = weight.detach().copy();
    make_channels_last(&weight).expect("four dimensions");
    let kept = &store.variables()["weight"];
    assert!(is_channels_last(kept).expect("a tensor") && kept.requires_grad() && kept.is_leaf());
    assert_eq!(kept.detach(), before);
}

#[test]
fn host_data_comes_back() {
    let values = [1.5f32, -2.0, 0.0, f32::MIN_POSITIVE, 3e38, -0.0];
    let x = host::from_slice(&values, &[2, 3]).expect("six elements");
    assert_eq!((x.size(), x.kind(), x.device()), (vec![2, 3], Kind::Float, Device::Cpu));
    assert_eq!(host::to_vec::<f32>(&x.to_device(device())).expect("f32"), values);
    assert_eq!(host::to_vec::<f32>(&x.tr()).expect("f32")[..2], [1.5, f32::MIN_POSITIVE]);
    assert_eq!(
        host::to_vec::<i64>(&host::from_slice(&[7i64], &[]).expect("one")).expect("i64"),
        [7]
    );
    assert_eq!(
        host::to_vec::<bool>(&host::from_slice(&[true, false], &[2]).expect("two")).expect("bool"),
        [true, false]
    );
    assert!(
        host::to_vec::<f32>(&host::from_slice::<f32>(&[], &[0, 3]).expect("none"))
            .expect("f32")
            .is_empty()
    );
    let squares = host::filled_by(&[2, 2], |out: &mut [f32]| {
        for (i, x) in out.iter_mut().enumerate() {
            *x = (i * i) as f32;
        }
    });
    assert_eq!(host::to_vec::<f32>(&squares.expect("four")).expect("f32"), [0.0, 1.0, 4.0, 9.0]);
}

#[test]
fn bytes_come_back_for_every_kind() {
    let x = counted(&[2, 3]).set_requires_grad(true);
    let kinds = [
        Kind::Float,
        Kind::Double,
        Kind::Half,
        Kind::BFloat16,
        Kind::Int64,
        Kind::Uint8,
        Kind::Bool,
    ];
    for kind in kinds {
        let y = x.detach().to_kind(kind);
        let bytes = host::bytes(&y).expect("bytes");
        assert_eq!(bytes.len(), 6 * kind.elt_size_in_bytes());
        assert_eq!(
            host::from_bytes(&bytes, &[2, 3], kind)
                .expect("as many as the shape takes")
                .to_device(device()),
            y
        );
    }
    let own = host::from_slice(&[1u8, 2, 3], &[3]).expect("three");
    assert_eq!(
        host::bytes(&own).expect("bytes").as_ptr().cast(),
        own.data_ptr().cast_const(),
        "no copy"
    );
    assert_eq!(host::bytes(&x.tr()).expect("a parameter's too")[..8], [0, 0, 0, 0, 0, 0, 64, 64]); // 0, 3
    assert!(host::bytes(&Tensor::zeros([0], (Kind::Float, device()))).expect("none").is_empty());
}

#[test]
fn bad_host_data_is_refused() {
    let error = host::from_slice(&[1f32, 2.0], &[3]).expect_err("too few").to_string();
    assert_eq!(error, "2 elements do not fill a tensor of shape [3] and kind Float, which takes 3");
    let error = host::from_bytes(&[0; 5], &[2], Kind::Half).expect_err("too many").to_string();
    assert_eq!(error, "5 bytes do not fill a tensor of shape [2] and kind Half, which takes 4");
    for shape in [&[-1, 2][..], &[i64::MAX, 2], &[1 << 62]] {
        assert!(
            matches!(
                host::from_bytes(&[], shape, Kind::Float),
                Err(TorchError::InvalidShape { .. })
            ),
            "{shape:?}"
        );
    }
    let error =
        host::from_bytes(&[1, 0, 2], &[3], Kind::Bool).expect_err("2 is no boolean").to_string();
    assert_eq!(error, "a boolean is 0 or 1, byte 2 is 2");
    let error = host::to_vec::<f64>(&counted(&[2])).expect_err("it is f32").to_string();
    assert_eq!(error, "a tensor of Float was to be read as Double");
}
