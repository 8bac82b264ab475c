//! Training of diffusion models: data, objective, optimiser, averaged weights, checkpoints that resume bit for bit.
//!
//! [`RunConfig`] is one TOML file; [`TrainingRun`] is the run that it describes, advanced by the caller, who owns the loop,
//! the clock and the progress bar:
//!
//! ```no_run
//! use diffusion_train::{RunConfig, Start, TrainingRun};
//! let config = RunConfig::read("configs/mnist.toml".as_ref(), &[])?;
//! let (mut run, _opened) = TrainingRun::open(config, Start::Fresh, tch::Device::Cpu)?;
//! let start = std::time::Instant::now();
//! while let Some(progress) = run.advance(&|| start.elapsed().as_secs_f64())? {
//!     println!("step {} of {}", progress.step, progress.steps);
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod checkpoint;
mod config;
mod config_file;
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

pub use checkpoint::{Checkpoint, Damaged};
pub use config::{
    DataKind, DataSection, EmaSection, InvalidValue, LearningRateDecay, ModelSection,
    ObjectiveSection, OptimizerSection, RunConfig, RunSection, SamplingSection, TrainSection,
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
