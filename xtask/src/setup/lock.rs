//! One set-up at a time: a file lock, which the system releases when its holder dies, however it dies.
use std::fs::{File, TryLockError};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

/// Held until dropped.
pub(super) struct SetupLock {
    file: File,
    exclusive: bool,
}

impl SetupLock {
    /// Waits, and says so, while another set-up is at work on the same cache.
    pub(super) fn take(path: &Path) -> Result<Self> {
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.with_context(|| {
            format!(
                "{} cannot be written; set DIFFUSION_CACHE to a folder that can",
                path.display()
            )
        })?;
        let exclusive = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => {
                eprintln!("another set-up of this cache is at work; waiting for it");
                file.lock().is_ok()
            }
            // Some network file systems know no locks; unique names and the rename at the end still keep two set-ups apart.
            Err(TryLockError::Error(_)) => false,
        };
        Ok(Self { file, exclusive })
    }

    /// Whether nobody else can be at work.
    pub(super) fn is_exclusive(&self) -> bool {
        self.exclusive
    }

    /// The lock as a child's standard input: it stays taken while the child writes, even if this process is killed.
    pub(super) fn share(&self) -> Stdio {
        self.file.try_clone().map_or_else(|_| Stdio::null(), Stdio::from)
    }
}
