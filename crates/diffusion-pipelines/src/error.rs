//! What goes wrong with a pipeline: its files, what is asked of it, its network.

use std::path::PathBuf;

/// Why a pipeline could not be read, written or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// `model_index.json` is not one that this crate can run.
    #[error("{}: {reason}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what is supported.
        reason: String,
    },
    /// The scheduler's file is damaged or has an option that is not supported.
    #[error("{}: {source}", path.display())]
    SchedulerFile {
        /// The file.
        path: PathBuf,
        /// Which option.
        source: diffusion_samplers::SetupError,
    },
    /// The sampler cannot do what is asked.
    #[error(transparent)]
    Setup(#[from] diffusion_samplers::SetupError),
    /// Something asked for that this pipeline does not have.
    #[error("{what} = {given}: {allowed}")]
    Request {
        /// The thing asked for.
        what: &'static str,
        /// Its value.
        given: String,
        /// What is allowed.
        allowed: String,
    },
    /// The network could not be read, written or run.
    #[error(transparent)]
    Model(#[from] diffusion_models::ModelError),
    /// Sampling stopped.
    #[error(transparent)]
    Sampling(#[from] diffusion_samplers::SamplingError),
    /// Noise could not be drawn.
    #[error(transparent)]
    Noise(#[from] diffusion_math::NoiseError),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl PipelineError {
    /// Whether the user asked for something impossible, as against work that failed.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Request { .. } | Self::Setup(_))
    }
}
