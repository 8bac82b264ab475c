//! Data: from files to batches on the device, in an order that a seed fixes.

mod folder;
mod idx;
mod images;
mod order;

use std::path::PathBuf;

use crate::DataKind;

pub use idx::IdxFile;
pub use images::{Batch, ImageDataset};
pub use order::DataOrder;

/// Why data could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file is not what its format says.
    #[error("{}: {reason}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
    /// What tch does not bind failed.
    #[error(transparent)]
    Shim(#[from] diffusion_torch::TorchError),
}

/// Reads the data that a configuration names.
///
/// # Errors
/// Where a file is absent or damaged.
///
/// # Panics
/// Where the configuration was not validated: each kind has keys of its own.
pub fn read(section: &crate::DataSection) -> Result<ImageDataset, DataError> {
    let given = |path: &Option<PathBuf>| path.clone().expect("validated with the configuration");
    match section.kind {
        DataKind::Mnist => {
            ImageDataset::from_idx(&given(&section.images), &given(&section.labels), section.size)
        }
        DataKind::Folder => ImageDataset::from_folder(
            &given(&section.path),
            section.channels.unwrap_or(3),
            section.size,
        ),
    }
}
