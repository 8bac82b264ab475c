//! `metrics.jsonl`: one line of JSON a step.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::run_dir::write_file_atomically;
use crate::{StepReport, TrainError};

/// A line of `metrics.jsonl`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MetricsLine {
    /// The step, from 1.
    pub step: u64,
    /// The mean squared error of the prediction.
    pub loss: f64,
    /// The gradient's global norm before clipping.
    pub gradient_norm: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// Seconds since this process began to train, by the caller's clock.
    pub seconds: f64,
}

/// The file, open for more lines.
#[derive(Debug)]
pub(crate) struct MetricsLog {
    path: PathBuf,
    file: File,
}

impl MetricsLog {
    /// Opens the file behind the lines of the first `step` steps; lines past them, and half a line, are dropped.
    pub(crate) fn open_after(path: &Path, step: u64) -> Result<Self, TrainError> {
        let kept: String = match std::fs::read(path) {
            // A torn tail need not be UTF-8.
            Ok(bytes) => String::from_utf8_lossy(&bytes)
                .lines()
                .filter(|line| step_of(line).is_some_and(|s| s <= step))
                .map(|l| format!("{l}\n"))
                .collect(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(TrainError::io("read", path)(error)),
        };
        write_file_atomically(path, kept.as_bytes())?;
        let file =
            OpenOptions::new().append(true).open(path).map_err(TrainError::io("open", path))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Waits until the lines are on the disk: a checkpoint must not outlive the lines of its steps.
    pub(crate) fn sync(&self) -> Result<(), TrainError> {
        self.file.sync_data().map_err(TrainError::io("write", &self.path))
    }

    pub(crate) fn append(
        &mut self,
        reports: &[StepReport],
        seconds: f64,
    ) -> Result<(), TrainError> {
        let lines: String = reports
            .iter()
            .map(|r| {
                let StepReport { step, loss, gradient_norm, learning_rate } = *r;
                let line = MetricsLine { step, loss, gradient_norm, learning_rate, seconds };
                serde_json::to_string(&line).expect("numbers") + "\n"
            })
            .collect();
        self.file.write_all(lines.as_bytes()).map_err(TrainError::io("write", &self.path))
    }
}

fn step_of(line: &str) -> Option<u64> {
    serde_json::from_str::<MetricsLine>(line).ok().map(|line| line.step)
}

/// Reads the whole lines of a `metrics.jsonl`.
///
/// # Errors
/// Where the file cannot be read.
pub fn read_metrics(path: &Path) -> Result<Vec<MetricsLine>, TrainError> {
    let bytes = std::fs::read(path).map_err(TrainError::io("read", path))?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect())
}
