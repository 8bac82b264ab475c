//! Runs a pipeline that diffusers saved, from diffusers' noise, and compares the pictures.
use std::path::Path;

use diffusion_models::{Placement, read_tensors};
use diffusion_pipelines::{InitialNoise, PixelPipeline, SampleRequest};
use diffusion_torch::{DeviceRequest, select};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = select(DeviceRequest::Auto)?;
    let directory =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/pipelines/ddim-pixel");
    let pipeline = PixelPipeline::load(&directory, Placement::on(device))?;
    let mut expected = read_tensors(&directory.join("expected.safetensors"))?;
    let start = expected.remove("init_latents").ok_or("the fixture has no init_latents")?;
    let request = SampleRequest {
        initial_noise: InitialNoise::Given(start),
        n_steps: Some(8),
        ..SampleRequest::default()
    };
    let samples = pipeline.sample(&request, &mut |_| {})?;
    let difference = (&samples.image - &expected["image"]).abs().max().double_value(&[]);
    println!(
        "{} pictures in {} evaluations each, at most {difference:.1e} from diffusers'",
        samples.image.size()[0],
        samples.evaluations
    );
    assert!(difference <= 5e-3);
    Ok(())
}
