//! Data: from files to batches on the device, in an order that a seed fixes.

mod idx;
mod images;
mod order;

use std::path::PathBuf;

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
pub fn read(section: &crate::DataSection) -> Result<ImageDataset, DataError> {
    match section.kind {
        crate::DataKind::Mnist => {
            ImageDataset::from_idx(&section.images, &section.labels, section.size)
        }
    }
}
