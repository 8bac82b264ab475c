//! The networks give diffusers' numbers on diffusers' files, and write files that give them again.

#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::collections::BTreeMap;
use std::path::PathBuf;

use diffusion_models::{ModelError, Placement, UNet2d, load_network, read_tensors};
use diffusion_torch::testing::device as test_device;
use tch::Tensor;

const CASES: [&str; 2] = ["unet2d-ddpm", "unet2d-class"];

fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../fixtures/models", name].iter().collect()
}

fn split(name: &str) -> (BTreeMap<String, Tensor>, BTreeMap<String, Tensor>) {
    let mut parts = (BTreeMap::new(), BTreeMap::new());
    for (key, tensor) in read_tensors(&fixture(name).join("io.safetensors")).unwrap() {
        match key.split_once('.') {
            Some(("in", rest)) => parts.0.insert(rest.to_owned(), tensor.to_device(test_device())),
            Some(("out", rest)) => parts.1.insert(rest.to_owned(), tensor),
            _ => panic!("{key} is neither input nor output"),
        };
    }
    parts
}

fn max_abs_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a.to_device(b.device()) - b).abs().max().double_value(&[])
}

#[test]
fn outputs_equal_those_of_diffusers_within_1e_4() {
    for name in CASES {
        let (inputs, expected) = split(name);
        let network = load_network(&fixture(name), Placement::on(test_device())).unwrap();
        let difference =
            max_abs_difference(&network.run_named(&inputs).unwrap()["sample"], &expected["sample"]);
        assert!(difference <= 1e-4, "{name}: {difference:e}");
    }
}

#[test]
fn a_changed_input_changes_the_output() {
    for name in CASES {
        let (mut inputs, expected) = split(name);
        let network = load_network(&fixture(name), Placement::on(test_device())).unwrap();
        for input in ["sample", "timestep"] {
            let original = inputs[input].shallow_clone();
            inputs.insert(input.to_owned(), &original + 1.0);
            let difference = max_abs_difference(
                &network.run_named(&inputs).unwrap()["sample"],
                &expected["sample"],
            );
            assert!(difference > 1e-4, "{name}: {input} has no influence");
            inputs.insert(input.to_owned(), original);
        }
    }
}

#[test]
fn saved_and_loaded_the_network_is_the_same_bit_for_bit() {
    for name in CASES {
        let (inputs, _) = split(name);
        let directory = tempfile::tempdir().unwrap();
        let first = UNet2d::load(&fixture(name), Placement::on(test_device())).unwrap();
        first.save(directory.path()).unwrap();
        let second = UNet2d::load(directory.path(), Placement::on(test_device())).unwrap();
        assert_eq!(first.config(), second.config());
        let output = |unet: &UNet2d| {
            let labels = inputs.get("class_labels");
            unet.forward(&inputs["sample"], &inputs["timestep"], labels).unwrap()
        };
        assert!(output(&first).equal(&output(&second)));
    }
}

#[test]
fn weights_that_do_not_fit_are_listed_all_at_once() {
    let directory = tempfile::tempdir().unwrap();
    let source = fixture("unet2d-class");
    let config = std::fs::read_to_string(source.join("config.json")).unwrap();
    std::fs::write(
        directory.path().join("config.json"),
        config.replace("\"num_class_embeds\": 10", "\"num_class_embeds\": 11"),
    )
    .unwrap();
    let mut tensors = read_tensors(&source.join("diffusion_pytorch_model.safetensors")).unwrap();
    let moved = tensors.remove("conv_in.bias").unwrap();
    tensors.insert("conv_in.bogus".into(), moved);
    let path = directory.path().join("diffusion_pytorch_model.safetensors");
    diffusion_models::write_tensors(&path, tensors.iter().map(|(n, t)| (n.as_str(), t))).unwrap();
    let error = UNet2d::load(directory.path(), Placement::on(test_device())).unwrap_err();
    assert!(matches!(error, ModelError::Mismatch { .. }));
    let message = error.to_string();
    for part in [
        "missing conv_in.bias [16]",
        "unexpected conv_in.bogus [16]",
        "class_embedding.weight: expected shape [11, 64], found [10, 64]",
    ] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn damaged_files_are_errors_that_name_the_file() {
    let source = fixture("unet2d-ddpm");
    let weights = std::fs::read(source.join("diffusion_pytorch_model.safetensors")).unwrap();
    let config = std::fs::read_to_string(source.join("config.json")).unwrap();
    let mut lying = weights.clone();
    lying[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    let cases = [
        (config.clone(), weights[..weights.len() - 1].to_vec(), "not a whole safetensors file"),
        (config.clone(), lying, "not a whole safetensors file"),
        (config.clone(), Vec::new(), "not a whole safetensors file"),
        (config.replace("UNet2DModel", "UNet9DModel"), weights.clone(), "UNet9DModel"),
        (config.replace("\"DownBlock2D\"", "\"KDownBlock2D\""), weights.clone(), "KDownBlock2D"),
        (config.replace("\"dropout\"", "\"drop_out\""), weights.clone(), "drop_out"),
        (
            config.replace("\"norm_num_groups\": 8", "\"norm_num_groups\": 7"),
            weights.clone(),
            "norm_num_groups = 7",
        ),
        (
            config.replace("\"norm_num_groups\": 8", "\"norm_num_groups\": 0"),
            weights.clone(),
            "norm_num_groups = 0",
        ),
        ("{".into(), weights.clone(), "not JSON"),
    ];
    for (config, weights, expected) in cases {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        std::fs::write(directory.path().join("diffusion_pytorch_model.safetensors"), weights)
            .unwrap();
        let error =
            load_network(directory.path(), Placement::on(test_device())).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} does not say {expected}");
    }
}

#[test]
fn inputs_that_do_not_fit_are_refused() {
    let (inputs, _) = split("unet2d-class");
    let network = load_network(&fixture("unet2d-class"), Placement::on(test_device())).unwrap();
    let refused = |name: &str, tensor: Option<Tensor>| {
        let mut changed: BTreeMap<_, _> =
            inputs.iter().map(|(k, t)| (k.clone(), t.shallow_clone())).collect();
        match tensor {
            Some(tensor) => changed.insert(name.to_owned(), tensor),
            None => changed.remove(name),
        };
        network.run_named(&changed).unwrap_err().to_string()
    };
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (tch::Kind::Float, test_device()));
    assert!(refused("sample", Some(zeros(&[2, 3, 15, 16]))).contains("multiples of 2"));
    assert!(refused("sample", Some(zeros(&[2, 4, 16, 16]))).contains("[batch, 3, height, width]"));
    assert!(refused("timestep", Some(zeros(&[3]))).contains("expected [2]"));
    assert!(refused("class_labels", None).contains("class_labels"));
    assert!(refused("class_labels", Some(Tensor::from_slice(&[0i64, 10]))).contains("0 to 9"));
    assert!(refused("mask", Some(zeros(&[1]))).contains("mask"));
}
