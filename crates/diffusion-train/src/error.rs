//! What ends a training run before its last step.

use std::path::{Path, PathBuf};

use crate::data::DataError;

/// Why a run could not start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data could not be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The network could not be built, run or written.
    #[error(transparent)]
    Model(#[from] diffusion_models::ModelError),
    /// The finished pipeline could not be written.
    #[error(transparent)]
    Pipeline(#[from] diffusion_pipelines::PipelineError),
    /// The schedule has no diffusers scheduler.
    #[error(transparent)]
    Scheduler(#[from] diffusion_samplers::SetupError),
    /// The schedule is impossible.
    #[error(transparent)]
    Math(#[from] diffusion_math::MathError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// What tch does not bind failed.
    #[error(transparent)]
    Shim(#[from] diffusion_torch::TorchError),
    /// A file of the run could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The run's directory holds something, and nobody asked to resume.
    #[error("{} is not empty: resume the run in it, or choose another run.dir", path.display())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// A run is to be resumed in a directory that is none's.
    #[error("{} holds {found} but no config.toml: it is not a run's directory", path.display())]
    NotARun {
        /// The directory.
        path: PathBuf,
        /// What is in it that a run would replace.
        found: &'static str,
    },
    /// `run.dir` is something else than a directory.
    #[error("run.dir = {}: it is not a directory", path.display())]
    NotADirectory {
        /// The path.
        path: PathBuf,
    },
    /// Another process has the run open.
    #[error("{} is open in another process that trains", path.display())]
    Locked {
        /// The directory.
        path: PathBuf,
    },
    /// A resumed run was given another configuration.
    #[error("{} was started with another configuration:{}", path.display(), keys.iter().fold(String::new(), |t, k| t + "\n  " + k))]
    Contradiction {
        /// The configuration that the run was started with.
        path: PathBuf,
        /// The keys that differ, with both values.
        keys: Vec<String>,
    },
    /// A resumed run is asked for fewer steps than it has done.
    #[error("train.steps = {asked}: the run's last checkpoint is at step {done}")]
    StepsDone {
        /// The steps asked for.
        asked: u64,
        /// The steps done.
        done: u64,
    },
    /// A checkpoint is not what the network and the optimiser need.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked cannot be measured.
    #[error("{reason}")]
    Evaluation {
        /// Why not.
        reason: String,
    },
    /// The loss is no number any more.
    #[error(
        "the loss is {loss}, the gradient's norm {gradient_norm} at step {step}; {}; a run of its own (another run.dir) with a lower optimizer.learning_rate or a longer warmup_steps helps most often",
        last.as_ref().map_or("there is no checkpoint yet".to_owned(), |p| format!("the last good checkpoint is {}", p.display()))
    )]
    Diverged {
        /// The step.
        step: u64,
        /// The loss.
        loss: f64,
        /// The gradient's norm.
        gradient_norm: f64,
        /// The last good checkpoint.
        last: Option<PathBuf>,
    },
}

impl TrainError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Whether the user asked for something impossible, as against work that failed.
    pub fn is_usage(&self) -> bool {
        use diffusion_models::ModelError;
        matches!(
            self,
            Self::NotEmpty { .. }
                | Self::NotARun { .. }
                | Self::NotADirectory { .. }
                | Self::Locked { .. }
                | Self::Contradiction { .. }
                | Self::StepsDone { .. }
                | Self::Model(ModelError::InvalidConfig { .. })
        )
    }
}
