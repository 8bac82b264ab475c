//! The commands, one a file.

pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod forward;
pub(crate) mod inspect;
pub(crate) mod sample;
pub(crate) mod train;

use std::path::PathBuf;

use anyhow::anyhow;
use diffusion_pipelines::{PixelPipeline, SampleRequest, Samples};
use diffusion_torch::{DeviceRequest, TorchError};
use diffusion_train::RunDir;
use tch::Device;

use crate::exit::usage;
use crate::progress::Progress;

/// `--device`, the same for every command that runs a network.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct DeviceArgument {
    /// auto, cpu, cuda or cuda:N; auto takes a GPU where one is usable
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: DeviceRequest,
}

impl DeviceArgument {
    /// The device asked for; one that is not there is bad usage.
    pub(crate) fn select(self) -> anyhow::Result<Device> {
        diffusion_torch::select(self.device).map_err(|error: TorchError| usage(error))
    }
}

/// The device as a user writes it.
pub(crate) fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// Draws samples, with progress on stderr.
pub(crate) fn draw(pipeline: &PixelPipeline, request: &SampleRequest) -> anyhow::Result<Samples> {
    let mut progress: Option<Progress> = None;
    let batch_size = request.batch_size;
    let samples = pipeline.sample(request, &mut |now| {
        let batches = now.n_samples.div_ceil(batch_size) as u64;
        let steps = now.n_steps as u64;
        let done = now.first_sample.div_euclid(batch_size) as u64 * steps + now.step as u64;
        progress
            .get_or_insert_with(|| Progress::new("sampling", batches * steps, 0))
            .update(done, "");
    })?;
    if let Some(progress) = &progress {
        progress.finish();
    }
    Ok(samples)
}

/// The pipeline of a run, which only a finished one has.
pub(crate) fn finished_pipeline(run: &RunDir) -> anyhow::Result<PathBuf> {
    if run.pipeline().exists() {
        return Ok(run.pipeline());
    }
    Err(anyhow!(
        "{} has no pipeline yet: finish the run with `diffusion train … --resume`",
        run.root().display()
    ))
}

/// Refuses a `--guidance` that is no number.
pub(crate) fn check_guidance(guidance: Option<f64>) -> anyhow::Result<()> {
    match guidance.filter(|scale| !scale.is_finite()) {
        Some(_) => Err(usage(anyhow!("--guidance: expected a finite number"))),
        None => Ok(()),
    }
}
