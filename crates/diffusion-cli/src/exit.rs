//! Exit codes and messages: 1 where the work failed, 2 where the user asked for something impossible.

use diffusion_pipelines::PipelineError;
use diffusion_train::{ConfigError, TrainError};

/// Marks an error as the user's: bad usage or bad configuration.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Usage(anyhow::Error);

/// An error that ends the program with 2.
pub(crate) fn usage(error: impl Into<anyhow::Error>) -> anyhow::Error {
    anyhow::Error::new(Usage(error.into()))
}

/// The program's exit code for an error.
pub(crate) fn code(error: &anyhow::Error) -> u8 {
    let is_usage = error.chain().any(|cause| {
        cause.is::<Usage>()
            || cause.is::<ConfigError>()
            || cause.downcast_ref::<TrainError>().is_some_and(TrainError::is_usage)
            || cause.downcast_ref::<PipelineError>().is_some_and(PipelineError::is_usage)
    });
    if is_usage { 2 } else { 1 }
}

/// The error and its causes, each once: many of our errors already say their source.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        // libtorch appends its own stack to a message; the first line says what happened.
        let cause = cause
            .split("\nException raised from")
            .flat_map(|text| text.split("\nframe #"))
            .next()
            .unwrap_or_default()
            .trim_end();
        if text.is_empty() {
            text.push_str(cause);
        } else if !text.contains(cause) {
            text.push_str(": ");
            text.push_str(cause);
        }
    }
    text
}
