//! `diffusion train`: a run from a configuration.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::{Context, bail};
use diffusion_train::{RunConfig, RunDir, Start, TrainingRun, read_metrics};

use super::{DeviceArgument, device_name};
use crate::loss_curve;
use crate::output::{errln, outln};
use crate::progress::Progress;

/// Train a model as a TOML file says
#[derive(Debug, clap::Args)]
pub(crate) struct Train {
    /// The configuration
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Override a key, as in --set train.steps=100; may be repeated
    #[arg(long = "set", value_name = "KEY.PATH=VALUE")]
    overrides: Vec<String>,
    /// Go on from the last whole checkpoint in run.dir; with none, start at step 0
    #[arg(long)]
    resume: bool,
    /// Print the configuration as resolved and stop
    #[arg(long, conflicts_with = "json")]
    dry_run: bool,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgument,
}

impl Train {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let config = RunConfig::read(&self.config, &self.overrides)?;
        if self.dry_run {
            outln!("{}", config.to_toml().trim_end());
            return Ok(());
        }
        let device = self.device.select()?;
        diffusion_torch::keep_freed_memory();
        let start = if self.resume { Start::Resume } else { Start::Fresh };
        let (mut run, opened) = TrainingRun::open(config, start, device)?;
        for damaged in &opened.damaged {
            errln!("passed over {}: {}", damaged.path.display(), damaged.reason);
        }
        let steps = run.config().train.steps;
        match opened.step {
            0 if self.resume => errln!(
                "no whole checkpoint in {}: starting at step 0",
                run.directory().root().display()
            ),
            0 => {}
            step => errln!("going on from step {step} of {steps}"),
        }
        let threads = diffusion_torch::threads()?.intra_op;
        if let Some(before) = opened.threads.filter(|before| *before != threads) {
            errln!(
                "the checkpoint was made with {before} threads, now there are {threads}: the last bits of the weights will differ"
            );
        }
        let data = run.trainer().data();
        let [channels, height, width] = data.image_shape();
        errln!(
            "{} images of {channels}×{height}×{width} in {} classes, {} parameters, {} with {} threads",
            data.len(),
            data.n_classes(),
            run.trainer().unet().parameters().count(),
            device_name(device),
            threads,
        );
        for (class, name) in run.trainer().data().class_names().iter().enumerate() {
            errln!("class {class}: {name}");
        }
        let (stop, done) = stop_on_signal()?;
        let clock = Instant::now();
        let seconds = || clock.elapsed().as_secs_f64();
        let mut progress = Progress::new("training", steps, opened.step);
        let mut message = String::new();
        while let Some(now) = run.advance(&seconds)? {
            if let Some(report) = now.reports.last() {
                message = format!("loss {:.4}", report.loss);
            }
            progress.update(now.step, &message);
            if stop.load(Ordering::Relaxed) && now.step < steps {
                progress.finish();
                let checkpoint = run.checkpoint_now(&seconds)?;
                bail!(
                    "stopped by a signal at step {} of {steps}; {} holds it: go on with --resume",
                    checkpoint.step(),
                    checkpoint.path().display()
                );
            }
        }
        progress.finish();
        done.store(true, Ordering::Relaxed);
        self.conclude(run.directory(), steps, seconds())
    }

    fn conclude(&self, directory: &RunDir, steps: u64, seconds: f64) -> anyhow::Result<()> {
        let metrics = read_metrics(&directory.metrics())?;
        loss_curve::write(&directory.loss_curve(), &metrics)?;
        let recent = metrics.len().div_euclid(20).clamp(1, 100).min(metrics.len());
        let sum = metrics[metrics.len() - recent..].iter().map(|line| line.loss).sum::<f64>();
        let loss = (recent > 0).then(|| sum / recent as f64);
        if self.json {
            let result = serde_json::json!({
                "run": directory.root(), "steps": steps, "loss": loss, "seconds": seconds,
                "pipeline": directory.pipeline(), "metrics": directory.metrics(), "loss_curve": directory.loss_curve(),
            });
            outln!("{result:#}");
            return Ok(());
        }
        match loss {
            Some(loss) => outln!("{steps} steps done, mean loss of the last {recent}: {loss:.4}"),
            None => outln!("{steps} steps done"),
        }
        outln!("  model        {}", directory.pipeline().display());
        outln!("  checkpoints  {}", directory.checkpoints().display());
        outln!("  metrics      {}", directory.metrics().display());
        outln!("  loss curve   {}", directory.loss_curve().display());
        outln!("draw samples with: diffusion sample {} -n 16", directory.root().display());
        Ok(())
    }
}

/// The first flag is set by SIGINT, SIGTERM and SIGHUP; a second signal, or one after the second flag is set, ends the
/// process at once.
fn stop_on_signal() -> anyhow::Result<(Arc<AtomicBool>, Arc<AtomicBool>)> {
    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (stop_flag, done_flag) = (Arc::clone(&stop), Arc::clone(&done));
    ctrlc::set_handler(move || {
        if stop_flag.swap(true, Ordering::Relaxed) || done_flag.load(Ordering::Relaxed) {
            std::process::exit(1);
        }
        errln!("\nstopping after this step; again to stop at once");
    })
    .context("cannot listen for signals")?;
    Ok((stop, done))
}
