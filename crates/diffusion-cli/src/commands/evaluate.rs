//! `diffusion evaluate`: how good a run is, in numbers.

use std::path::PathBuf;

use anyhow::anyhow;
use diffusion_models::Placement;
use diffusion_pipelines::{InitialNoise, PixelPipeline, SampleRequest};
use diffusion_train::evaluation::Classifier;
use diffusion_train::{RunConfig, RunDir, data};
use tch::Tensor;

use super::sample::sample_count;
use super::{DeviceArgument, check_guidance, draw, finished_pipeline};
use crate::exit::usage;
use crate::output::outln;
use crate::progress::Progress;

/// Say how many samples of a run a classifier takes for the class that was asked
///
/// The classifier is small; it is trained on the spot on the first nine tenths of the run's data, tested on the rest, and
/// kept in the run's directory.
#[derive(Debug, clap::Args)]
pub(crate) struct Evaluate {
    /// A finished run
    #[arg(value_name = "RUN")]
    directory: PathBuf,
    /// How many samples to draw, the classes in turn
    #[arg(short = 'n', value_name = "N", default_value_t = 500, value_parser = sample_count)]
    n: usize,
    /// Sampling steps [default: the run's]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// s of u + s·(c − u) [default: the run's]
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    guidance: Option<f64>,
    /// Key of all noise
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgument,
}

impl Evaluate {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let run = RunDir::new(&self.directory);
        if !run.config().exists() {
            return Err(usage(anyhow!(
                "{} is not a run: it has no config.toml",
                self.directory.display()
            )));
        }
        check_guidance(self.guidance)?;
        let config = RunConfig::read(&run.config(), &[])?;
        if !config.objective.class_conditional {
            return Err(usage(anyhow!(
                "the run was trained without classes: there is none to recognise"
            )));
        }
        let directory = finished_pipeline(&run)?;
        let device = self.device.select()?;
        diffusion_torch::keep_freed_memory();
        let pipeline = PixelPipeline::load(&directory, Placement::on(device))?;
        let data = data::read(&config.data)?;

        let mut progress: Option<Progress> = None;
        let classifier =
            Classifier::cached(&run.evaluation(), &data, device, &mut |done, steps| {
                progress
                    .get_or_insert_with(|| Progress::new("classifier", steps, 0))
                    .update(done, "");
            })?;
        if let Some(progress) = progress {
            progress.finish();
        }
        let own = classifier.test(&data)?;

        let classes: Vec<i64> = (0..data.n_classes()).cycle().take(self.n).collect();
        let request = SampleRequest {
            initial_noise: InitialNoise::Drawn(self.n),
            seed: self.seed,
            classes: classes.clone(),
            guidance_scale: self.guidance.unwrap_or(config.sampling.guidance_scale),
            n_steps: Some(self.steps.unwrap_or(config.sampling.steps)),
            ..SampleRequest::default()
        };
        let steps = request.n_steps.unwrap_or_default() as u64;
        let samples = draw(&pipeline, &request)?;
        // The classifier was trained on [−1, 1].
        let images = samples.image.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
        let recognised = classifier.judge(&images, &Tensor::f_from_slice(&classes)?)?;

        if self.json {
            let result = serde_json::json!({
                "classifier_accuracy": own.accuracy(), "classifier_test_images": own.shown,
                "recognised": recognised.correct, "samples": recognised.shown,
                "share_recognised": recognised.accuracy(),
                "guidance": request.guidance_scale, "steps": steps, "seed": self.seed,
            });
            outln!("{result:#}");
        } else {
            outln!(
                "classifier: {:.1} % of {} test images right",
                100.0 * own.accuracy(),
                own.shown
            );
            outln!(
                "samples: {} of {} taken for the class that was asked, {:.1} %",
                recognised.correct,
                recognised.shown,
                100.0 * recognised.accuracy()
            );
        }
        Ok(())
    }
}
