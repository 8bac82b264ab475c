//! A pixel pipeline that diffusers wrote gives diffusers' pictures, and one written here loads here.

#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::path::PathBuf;

use diffusion_models::{Placement, read_tensors};
use diffusion_pipelines::{InitialNoise, PipelineError, PixelPipeline, SampleRequest, Samples};
use diffusion_torch::testing::device;
use tch::Tensor;

fn fixture() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "../../fixtures/pipelines/ddim-pixel"].iter().collect()
}

fn load() -> PixelPipeline {
    PixelPipeline::load(&fixture(), Placement::on(device())).unwrap()
}

fn sample(pipeline: &PixelPipeline, request: &SampleRequest) -> Samples {
    pipeline.sample(request, &mut |_| {}).unwrap()
}

/// The request of the fixture's `expected.json`: 8 steps, η = 0.
fn fixture_request(initial_noise: Tensor) -> SampleRequest {
    SampleRequest {
        initial_noise: InitialNoise::Given(initial_noise),
        n_steps: Some(8),
        eta: Some(0.0),
        ..SampleRequest::default()
    }
}

fn max_abs_difference(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

#[test]
fn latents_and_image_equal_those_of_diffusers() {
    let mut expected = read_tensors(&fixture().join("expected.safetensors")).unwrap();
    let request = fixture_request(expected.remove("init_latents").unwrap());
    let samples = sample(&load(), &request);
    assert_eq!(samples.evaluations, 8);
    let latents = max_abs_difference(&samples.latents, &expected["latents"]);
    let image = max_abs_difference(&samples.image, &expected["image"]);
    assert!(latents <= 2e-3 && image <= 5e-3, "latents differ by {latents:e}, image by {image:e}");
}

#[test]
fn other_noise_gives_another_picture() {
    let mut expected = read_tensors(&fixture().join("expected.safetensors")).unwrap();
    let changed = expected.remove("init_latents").unwrap() * 1.1;
    let samples = sample(&load(), &fixture_request(changed));
    assert!(max_abs_difference(&samples.latents, &expected["latents"]) > 2e-3);
}

#[test]
fn written_and_read_again_the_pipeline_draws_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let request = SampleRequest {
        initial_noise: InitialNoise::Drawn(2),
        n_steps: Some(3),
        ..SampleRequest::default()
    };
    let first = load();
    first.save(directory.path()).unwrap();
    let second = PixelPipeline::load(directory.path(), Placement::on(device())).unwrap();
    assert!(sample(&first, &request).latents.equal(&sample(&second, &request).latents));
}

#[test]
fn a_sample_does_not_depend_on_how_many_are_drawn_with_it() {
    let pipeline = load();
    for eta in [0.0, 1.0] {
        let draw = |n, batch_size| {
            let request = SampleRequest {
                initial_noise: InitialNoise::Drawn(n),
                n_steps: Some(4),
                eta: Some(eta),
                seed: 11,
                batch_size,
                ..SampleRequest::default()
            };
            sample(&pipeline, &request).image
        };
        let all = draw(6, 6);
        for (n, batch_size) in [(6, 1), (6, 4), (2, 2)] {
            let difference = max_abs_difference(&draw(n, batch_size), &all.narrow(0, 0, n as i64));
            assert!(
                difference < 1.0 / 255.0,
                "{n} samples in batches of {batch_size}: {difference:e}"
            );
        }
        assert!(draw(6, 6).equal(&all));
    }
}

#[test]
fn every_step_is_reported_once() {
    let mut seen = Vec::new();
    let request = SampleRequest {
        initial_noise: InitialNoise::Drawn(3),
        n_steps: Some(2),
        batch_size: 2,
        ..SampleRequest::default()
    };
    load()
        .sample(&request, &mut |now| seen.push((now.first_sample, now.step, now.x.size()[0])))
        .unwrap();
    assert_eq!(seen, [(0, 1, 2), (0, 2, 2), (2, 1, 1), (2, 2, 1)]);
}

#[test]
fn what_the_pipeline_cannot_do_is_refused_before_it_runs() {
    let pipeline = load();
    let refused = |request: SampleRequest| {
        let error = pipeline.sample(&request, &mut |_| panic!("nothing runs")).unwrap_err();
        assert!(error.is_usage(), "{error}");
        error.to_string()
    };
    let default = SampleRequest::default;
    assert!(refused(SampleRequest { classes: vec![1], ..default() }).contains("no classes"));
    assert!(refused(SampleRequest { guidance_scale: 2.0, ..default() }).contains("guidance"));
    assert!(refused(SampleRequest { n_steps: Some(0), ..default() }).contains('0'));
    assert!(refused(SampleRequest { n_steps: Some(1001), ..default() }).contains("1001"));
    assert!(
        refused(SampleRequest { sampler: Some("magic".into()), ..default() }).contains("magic")
    );
    let ddpm = SampleRequest { sampler: Some("ddpm".into()), eta: Some(0.5), ..default() };
    assert!(refused(ddpm).contains("eta"));
    let flat = Tensor::zeros([3, 16, 16], (tch::Kind::Float, tch::Device::Cpu));
    assert!(
        refused(SampleRequest { initial_noise: InitialNoise::Given(flat), ..default() })
            .contains("init_latents")
    );
}

#[test]
fn directories_that_are_no_pixel_pipeline_are_named_with_their_fault() {
    let write = |index: &str| {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("model_index.json"), index).unwrap();
        PixelPipeline::load(directory.path(), Placement::on(device())).unwrap_err().to_string()
    };
    assert!(write("[]").contains("not a JSON object"));
    assert!(write("{}").contains("_class_name"));
    assert!(write(r#"{"_class_name": "FluxPipeline"}"#).contains("FluxPipeline"));
    assert!(write(r#"{"_class_name": "DDIMPipeline"}"#).contains("no component unet"));
    assert!(write(r#"{"_class_name": "DDIMPipeline", "unet": 3}"#).contains("unet = 3"));
    let missing = PixelPipeline::load("nowhere".as_ref(), Placement::on(device())).unwrap_err();
    assert!(matches!(missing, PipelineError::Io { .. }), "{missing}");
}
