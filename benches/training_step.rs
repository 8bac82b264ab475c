//! A training step of the default run, for `cargo xtask bench --peers`; `training_step.py` is the same step in PyTorch.
//!
//! `training_step [--steps N] [--warm-up N] [--export DIR]` prints the median of N steps.
//! With `--export`, it writes what the peer needs to do the same (configuration, data, first weights) and measures nothing.

#![allow(clippy::print_stdout)] // a benchmark prints its figure

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use diffusion_models::write_tensors;
use diffusion_train::{RunConfig, Trainer};
use tch::Device;

/// How many steps pass between two looks at the losses, as in a run.
const REPORT_EVERY: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    diffusion_torch::keep_freed_memory(); // as `diffusion train` does
    let workspace: PathBuf = [env!("CARGO_MANIFEST_DIR"), ".."].iter().collect();
    std::env::set_current_dir(workspace)?; // where the configuration's paths begin
    let config = RunConfig::read(Path::new("configs/mnist.toml"), &[])?;
    let mut trainer = Trainer::new(&config, Device::Cpu)?;
    if let Some(folder) = option("--export") {
        return export(&config, &trainer, Path::new(&folder));
    }
    let number = |name, default| option(name).map_or(Ok(default), |text| text.parse::<usize>());
    let (steps, warm_up) = (number("--steps", 40)?, number("--warm-up", 5)?);
    let (mut milliseconds, mut losses) = (Vec::new(), Vec::new());
    for step in 0..warm_up + steps {
        let begun = Instant::now();
        trainer.step()?;
        if step % REPORT_EVERY == 0 {
            losses.extend(trainer.take_reports()?.iter().map(|report| report.loss));
        }
        if step >= warm_up {
            milliseconds.push(begun.elapsed().as_secs_f64() * 1e3);
        }
    }
    milliseconds.sort_by(f64::total_cmp);
    let threads = diffusion_torch::threads()?.intra_op;
    losses.extend(trainer.take_reports()?.iter().map(|report| report.loss));
    let mean = losses.iter().sum::<f64>() / losses.len() as f64;
    println!("median {:.2} ms, mean loss {mean:.4}, {threads} threads", milliseconds[steps >> 1]);
    Ok(())
}

/// The value behind an option; cargo's own `--bench` is passed over.
fn option(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

fn export(config: &RunConfig, trainer: &Trainer, folder: &Path) -> Result<(), Box<dyn Error>> {
    trainer.unet().save(folder)?;
    fs::write(folder.join("run.json"), serde_json::to_string_pretty(config)?)?;
    let data = trainer.data();
    let all = data.batch(&(0..data.len()).collect::<Vec<_>>(), Device::Cpu)?;
    let tensors = [("images", &all.x0), ("labels", &all.labels)];
    Ok(write_tensors(&folder.join("data.safetensors"), tensors)?)
}
