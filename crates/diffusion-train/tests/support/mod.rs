//! A run of seconds on data made up on the spot, for the tests of this crate.

#![allow(dead_code)] // not every test that shares this file uses all of it
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::fs;
use std::path::Path;

use diffusion_train::{Progress, RunConfig, Start, TrainingRun};

/// Writes 48 images of 8×8 in 3 classes as IDX files: stripes, checks and frames, each a little different.
pub(crate) fn write_data(directory: &Path) {
    let n = 48usize;
    let mut images = vec![0, 0, 8, 3];
    [n, 8, 8].iter().for_each(|&d| images.extend((d as u32).to_be_bytes()));
    let mut labels = vec![0, 0, 8, 1];
    labels.extend((n as u32).to_be_bytes());
    for i in 0..n {
        let class = i % 3;
        labels.push(class as u8);
        for y in 0..8usize {
            for x in 0..8usize {
                let on = match class {
                    0 => (x + i) % 4 < 2,
                    1 => (x + y + i) % 2 == 0,
                    _ => x.min(y).min(7 - x).min(7 - y) == i % 3,
                };
                images.push(if on { 255 - (i as u8) } else { i as u8 });
            }
        }
    }
    fs::write(directory.join("images.idx"), images).unwrap();
    fs::write(directory.join("labels.idx"), labels).unwrap();
}

/// The text of a configuration of a tiny network over that data; dropout is on, so that the generator's state matters.
pub(crate) fn config_text(directory: &Path, run: &str) -> String {
    let directory = directory.display();
    format!(
        r#"[run]
dir = "{directory}/{run}"

[data]
kind = "mnist"
images = "{directory}/images.idx"
labels = "{directory}/labels.idx"
size = 8

[schedule]
kind = "linear"
n_steps = 100

[model.unet2d]
block_out_channels = [8, 16]
layers_per_block = 1
down_block_types = ["DownBlock2D", "AttnDownBlock2D"]
up_block_types = ["AttnUpBlock2D", "UpBlock2D"]
norm_num_groups = 4
attention_head_dim = 8
dropout = 0.1

[objective]
prediction = "epsilon"
class_dropout = 0.2

[optimizer]
learning_rate = 1e-3
warmup_steps = 4
decay = "cosine"

[ema]
decay = 0.9

[train]
steps = 12
batch_size = 5
checkpoint_every = 4
seed = 3
"#
    )
}

/// The configuration itself, with overrides.
pub(crate) fn config(directory: &Path, run: &str, overrides: &[&str]) -> RunConfig {
    let path = directory.join(format!("{run}.toml"));
    fs::write(&path, config_text(directory, run)).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    RunConfig::read(&path, &overrides).unwrap()
}

/// Runs to the end, or until `stop` says so; the process's death is the drop of the run.
pub(crate) fn train(
    config: RunConfig,
    start: Start,
    mut stop: impl FnMut(&Progress) -> bool,
) -> TrainingRun {
    let (mut run, _) =
        TrainingRun::open(config, start, diffusion_torch::testing::device()).unwrap();
    while let Some(progress) = run.advance(&|| 0.0).unwrap() {
        if stop(&progress) {
            break;
        }
    }
    run
}

/// Keeps the tests of a process from drawing from libtorch's one generator at the same time: dropout does.
pub(crate) fn alone() -> std::sync::MutexGuard<'static, ()> {
    static GENERATOR: std::sync::Mutex<()> = std::sync::Mutex::new(());
    GENERATOR.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
