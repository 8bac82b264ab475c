//! Training of diffusion models: data, objective, optimiser, averaged weights, checkpoints that resume bit for bit.
//!
//! [`RunConfig`] is one TOML file; [`TrainingRun`] is the run that it describes, advanced by the caller, who owns the loop,
//! the clock and the progress bar:
//!
//! ```
//! use diffusion_torch::{DeviceRequest, select};
//! use diffusion_train::{RunConfig, Start, TrainingRun, read_metrics};
//!
//! // Sixteen made-up pictures of 8×8 pixels in two classes, in MNIST's format.
//! let folder = tempfile::tempdir()?;
//! let path = |name: &str| folder.path().join(name);
//! let pixels = (0..16 * 64).map(|i| (i % 251) as u8);
//! std::fs::write(path("images"), [0, 0, 8, 3, 0, 0, 0, 16, 0, 0, 0, 8, 0, 0, 0, 8].into_iter().chain(pixels).collect::<Vec<u8>>())?;
//! std::fs::write(path("labels"), [0, 0, 8, 1, 0, 0, 0, 16].into_iter().chain((0..16).map(|i| i % 2)).collect::<Vec<u8>>())?;
//! std::fs::write(path("run.toml"), r#"
//!     run = { dir = "" }
//!     data = { kind = "mnist", images = "", labels = "", size = 8 }
//!     schedule = { kind = "cosine", n_steps = 1000 }
//!     objective = { prediction = "v_prediction" }
//!     train = { steps = 3, batch_size = 4, checkpoint_every = 3 }
//!     [model.unet2d]
//!     block_out_channels = [8, 8]
//!     down_block_types = ["DownBlock2D", "DownBlock2D"]
//!     up_block_types = ["UpBlock2D", "UpBlock2D"]
//!     layers_per_block = 1
//!     norm_num_groups = 4
//! "#)?;
//! let set = |key: &str, name: &str| format!("{key}={:?}", path(name)); // what `--set` does
//! let overrides = [set("run.dir", "run"), set("data.images", "images"), set("data.labels", "labels")];
//! let config = RunConfig::read(&path("run.toml"), &overrides)?;
//!
//! let (mut run, _opened) = TrainingRun::open(config, Start::Fresh, select(DeviceRequest::Auto)?)?;
//! let start = std::time::Instant::now();
//! while let Some(progress) = run.advance(&|| start.elapsed().as_secs_f64())? {
//!     assert!(progress.step <= progress.steps); // move a progress bar
//! }
//! assert_eq!(read_metrics(&run.directory().metrics())?.len(), 3);
//! assert!(run.directory().pipeline().join("model_index.json").is_file());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod config;
mod config_file;
mod contradictions;
pub mod data;
mod ema;
mod error;
pub mod evaluation;
mod learning_rate;
mod metrics;
mod objective;
mod run;
mod run_dir;
mod trainer;
mod validation;

pub use checkpoint::{Checkpoint, Damaged};
pub use config::{
    DataKind, DataSection, EmaSection, LearningRateDecay, ModelSection, ObjectiveSection,
    OptimizerSection, RunConfig, RunSection, SamplingSection, TrainSection,
};
pub use config_file::ConfigError;
pub use ema::Ema;
pub use error::TrainError;
pub use learning_rate::learning_rate;
pub use metrics::{MetricsLine, read_metrics};
pub use objective::Objective;
pub use run::{Opened, Progress, Start, TrainingRun};
pub use run_dir::RunDir;
pub use trainer::{StepReport, Trainer};
pub use validation::InvalidValue;

/// Those pages of the book whose code needs libtorch, so that it runs as tests; the others are in `diffusion-samplers`.
#[cfg(doctest)]
mod book {
    #[doc = include_str!("../../../docs/src/from-diffusers.md")]
    mod from_diffusers {}
    #[doc = include_str!("../../../docs/src/as-a-dependency.md")]
    mod as_a_dependency {}
}
