//! What goes wrong with a network: its files, its configuration, its inputs, its device.

use std::path::PathBuf;

/// Why a network could not be built, read, written or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
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
    /// A `config.json` that is not what the class means.
    #[error("{}: {reason}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// Key, value and what is allowed.
        reason: String,
    },
    /// A configuration, made in code or read from a file, that no network can have.
    #[error("{key} = {value}: {allowed}")]
    InvalidConfig {
        /// The configuration's key.
        key: &'static str,
        /// What it was.
        value: String,
        /// What is allowed.
        allowed: String,
    },
    /// A safetensors file that is damaged or holds what cannot be used.
    #[error("{}: {reason}", path.display())]
    Weights {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The tensors of a file are not those of the network; all differences at once.
    #[error("the weights do not fit the network:{}", list(differences))]
    Mismatch {
        /// One line a tensor: missing, unexpected, or of another shape.
        differences: Vec<String>,
    },
    /// An input that the network does not take.
    #[error("input {name}: expected {expected}, got {got}")]
    Input {
        /// The input's name.
        name: &'static str,
        /// What the network takes.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// What tch does not bind failed.
    #[error(transparent)]
    Shim(#[from] diffusion_torch::TorchError),
}

impl ModelError {
    pub(crate) fn io(action: &'static str, path: &std::path::Path, source: std::io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source }
    }
}

fn list(differences: &[String]) -> String {
    differences.iter().fold(String::new(), |text, line| text + "\n  " + line)
}
