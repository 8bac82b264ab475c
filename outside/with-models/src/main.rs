//! Loads a network that diffusers saved and compares its output with diffusers' own.
use std::collections::BTreeMap;
use std::path::Path;

use diffusion_models::{Placement, load_network, read_tensors};
use diffusion_torch::{DeviceRequest, select};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = select(DeviceRequest::Auto)?;
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/models/unet2d-class");
    let network = load_network(&directory, Placement::on(device))?;
    let tensors = read_tensors(&directory.join("io.safetensors"))?;
    let inputs: BTreeMap<_, _> = tensors
        .iter()
        .filter_map(|(name, tensor)| {
            Some((name.strip_prefix("in.")?.into(), tensor.to_device(device)))
        })
        .collect();
    let output = network.run_named(&inputs)?["sample"].to_device(tch::Device::Cpu);
    let difference = (output - &tensors["out.sample"]).abs().max().double_value(&[]);
    println!(
        "{} of {} parameters: differs from diffusers by at most {difference:.1e}",
        network.class_name(),
        network.parameters().count()
    );
    assert!(difference <= 1e-4);
    Ok(())
}
