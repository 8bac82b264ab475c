//! Where the files of a run are, and how they are written so that a crash at any moment loses nothing.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::TrainError;

/// A run's directory.
///
/// `config.toml` (as resolved), `checkpoints/step-NNNNNN/`, `pipeline/` (the averaged model as a diffusers pipeline),
/// `samples/`, `metrics.jsonl`, `loss.svg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir {
    root: PathBuf,
}

impl RunDir {
    /// The run at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration as resolved.
    pub fn config(&self) -> PathBuf {
        self.root.join("config.toml")
    }

    /// The directory of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// The averaged model as a diffusers pipeline.
    pub fn pipeline(&self) -> PathBuf {
        self.root.join("pipeline")
    }

    /// Pictures drawn from the run.
    pub fn samples(&self) -> PathBuf {
        self.root.join("samples")
    }

    /// What measuring the run has to keep.
    pub fn evaluation(&self) -> PathBuf {
        self.root.join("evaluation")
    }

    /// One line of JSON a step.
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    /// The loss curve.
    pub fn loss_curve(&self) -> PathBuf {
        self.root.join("loss.svg")
    }

    /// Whether the directory holds anything but the lock of a run that came to nothing.
    ///
    /// # Errors
    /// Where it exists and cannot be read.
    pub fn is_empty(&self) -> Result<bool, TrainError> {
        match fs::read_dir(&self.root) {
            Ok(mut entries) => Ok(entries.all(|e| e.is_ok_and(|e| e.file_name() == LOCK))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => {
                Err(TrainError::NotADirectory { path: self.root.clone() })
            }
            Err(error) => Err(TrainError::io("read", &self.root)(error)),
        }
    }

    /// What a run would replace in a directory that has no `config.toml`, and so is none's.
    ///
    /// # Errors
    /// Where the path is no directory.
    pub(crate) fn foreign(&self) -> Result<Option<&'static str>, TrainError> {
        self.is_empty()?;
        let replaced = [
            ("checkpoints/", self.checkpoints()),
            ("pipeline/", self.pipeline()),
            ("metrics.jsonl", self.metrics()),
        ];
        Ok(replaced.into_iter().find(|(_, path)| path.exists()).map(|(name, _)| name))
    }

    /// Makes the directory.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn create(&self) -> Result<(), TrainError> {
        fs::create_dir_all(&self.root).map_err(TrainError::io("create", &self.root))
    }

    /// Keeps other processes out until the file is dropped; a process that is killed drops it, too.
    ///
    /// # Errors
    /// [`TrainError::Locked`] where another process has it.
    pub(crate) fn lock(&self) -> Result<File, TrainError> {
        let path = self.root.join(LOCK);
        let file = File::create(&path).map_err(TrainError::io("create", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(fs::TryLockError::WouldBlock) => {
                Err(TrainError::Locked { path: self.root.clone() })
            }
            Err(fs::TryLockError::Error(error)) => Err(TrainError::io("lock", &path)(error)),
        }
    }

    /// Writes the configuration.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn write_config(&self, toml: &str) -> Result<(), TrainError> {
        write_file_atomically(&self.config(), toml.as_bytes())
    }
}

/// Writes a file under a temporary name, syncs it, renames it.
pub(crate) fn write_file_atomically(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let temporary = temporary_sibling(path);
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&temporary); // on a full disk its space is needed
        TrainError::io("write", path)(error)
    })
}

/// Fills a directory under a temporary name, syncs what is in it, and puts it in the place of `path`.
///
/// A directory that is there already is replaced; where a crash falls between the two renames, the next call mends it.
pub(crate) fn write_directory_atomically(
    path: &Path,
    fill: impl FnOnce(&Path) -> Result<(), TrainError>,
) -> Result<(), TrainError> {
    let temporary = temporary_sibling(path);
    let remove = |path: &Path| {
        let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
        removed.or_else(|e| if e.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
    };
    let write_error = TrainError::io("write", path);
    remove(&temporary)
        .and_then(|()| fs::create_dir_all(&temporary))
        .map_err(TrainError::io("write", path))?;
    let filled = fill(&temporary).and_then(|()| sync_tree(&temporary).map_err(write_error));
    if let Err(error) = filled {
        // Half a directory is of no use, and on a full disk its space is.
        let _ = remove(&temporary);
        return Err(error);
    }
    let replace = || {
        remove(path)?;
        fs::rename(&temporary, path)?;
        path.parent().map_or(Ok(()), sync_directory)
    };
    replace().map_err(TrainError::io("write", path))
}

/// Removes the half-written files and folders that a crash left in a folder; for the process that writes there alone.
pub(crate) fn remove_leftovers(folder: &Path) -> Result<(), TrainError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(TrainError::io("read", folder))?,
    };
    for entry in entries {
        let entry = entry.map_err(TrainError::io("read", folder))?;
        if !entry.file_name().to_string_lossy().starts_with(TEMPORARY) {
            continue;
        }
        let path = entry.path();
        let removed =
            if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map_err(TrainError::io("remove", &path))?;
    }
    Ok(())
}

/// The file that keeps other processes out.
const LOCK: &str = ".lock";

/// What a name begins with until all of it is written.
const TEMPORARY: &str = ".writing-";

fn temporary_sibling(path: &Path) -> PathBuf {
    let name = path.file_name().expect("a file of the run has a name").to_string_lossy();
    path.with_file_name(format!("{TEMPORARY}{name}"))
}

fn sync_tree(directory: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() { sync_tree(&path)? } else { File::open(&path)?.sync_all()? }
    }
    sync_directory(directory)
}

fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(if directory.as_os_str().is_empty() { Path::new(".") } else { directory })?
        .sync_all()
}
