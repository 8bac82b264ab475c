//! What can go wrong: while sampling, and where a grid or a file is read.

use diffusion_math::{DenoiseError, MathError, NoiseError};

/// Why a trajectory stopped. Every variant names the sampler and the step, counted from 1.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SamplingError {
    /// The denoiser failed.
    #[error("{sampler}, step {step} of {n_steps}: {source}")]
    Denoise {
        /// The sampler's name.
        sampler: &'static str,
        /// The step, from 1.
        step: usize,
        /// Steps of the trajectory.
        n_steps: usize,
        /// What the denoiser said.
        source: DenoiseError,
    },
    /// The denoiser answered with NaN or an infinity.
    #[error(
        "{sampler}, step {step} of {n_steps}: the denoiser's answer is not finite (time {time}, log-SNR {log_snr:.3})"
    )]
    NotFinite {
        /// The sampler's name.
        sampler: &'static str,
        /// The step, from 1.
        step: usize,
        /// Steps of the trajectory.
        n_steps: usize,
        /// The time at which the denoiser was asked.
        time: f64,
        /// The log-SNR at which it was asked, in nats.
        log_snr: f64,
    },
    /// The noise source failed.
    #[error("{sampler}, step {step} of {n_steps}: {source}")]
    Noise {
        /// The sampler's name.
        sampler: &'static str,
        /// The step, from 1.
        step: usize,
        /// Steps of the trajectory.
        n_steps: usize,
        /// What the noise source said.
        source: NoiseError,
    },
    /// A step that the method does not have, or a state that lacks an operation which it needs.
    #[error("{sampler}, step {step} of {n_steps}: {reason}")]
    Unsupported {
        /// The sampler's name.
        sampler: &'static str,
        /// The step, from 1.
        step: usize,
        /// Steps of the trajectory.
        n_steps: usize,
        /// What is missing.
        reason: String,
    },
}

/// Why a sampler, a grid or a scheduler file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A grid needs two levels, one step.
    #[error("a noise grid has at least 2 levels, {n_levels} were given")]
    TooFewLevels {
        /// Levels given.
        n_levels: usize,
    },
    /// As many targets as steps are needed.
    #[error("a noise grid has one target a step: {n_steps} steps, {n_targets} targets")]
    TargetCount {
        /// Steps.
        n_steps: usize,
        /// Targets.
        n_targets: usize,
    },
    /// A level that is no level.
    #[error("level {index} of the grid has log-SNR {log_snr}; {allowed}")]
    Level {
        /// The level's position in the grid, from 0.
        index: usize,
        /// Its log-SNR.
        log_snr: f64,
        /// What is allowed there.
        allowed: &'static str,
    },
    /// A grid's log-SNR must rise.
    #[error("step {step} of the grid goes from log-SNR {from} to {to}; it must rise")]
    NotRising {
        /// The step, from 1.
        step: usize,
        /// Log-SNR of the noisier side.
        from: f64,
        /// Log-SNR of the side that must be cleaner.
        to: f64,
    },
    /// More steps than the schedule has, or none.
    #[error(
        "{n_steps} sampling steps were asked of a schedule of {n_train_steps}; allowed is 1 to {n_train_steps}"
    )]
    StepCount {
        /// Steps asked for.
        n_steps: usize,
        /// Steps of the training schedule.
        n_train_steps: usize,
    },
    /// A timestep past the end of the schedule.
    #[error(
        "timestep {timestep} (with steps_offset {steps_offset}) is past the schedule's last, {last}"
    )]
    TimestepOutOfRange {
        /// The timestep.
        timestep: usize,
        /// The offset in it.
        steps_offset: usize,
        /// The schedule's last timestep.
        last: usize,
    },
    /// A network that predicts noise would be asked where there is nothing but noise.
    #[error(
        "at timestep {timestep} alpha is 0, where an epsilon prediction says nothing about x0; train with v_prediction or sample"
    )]
    EpsilonAtZeroSnr {
        /// The timestep.
        timestep: f64,
    },
    /// A sampler's number is out of its range.
    #[error("{sampler}: {key} is {value}, allowed is {allowed}")]
    SamplerValue {
        /// The sampler.
        sampler: &'static str,
        /// The number's name.
        key: &'static str,
        /// The value given.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// The scheduler file is no JSON object, or a key in it is unknown or of the wrong type.
    #[error("{place}: {source}")]
    Json {
        /// Which class and key, as far as they are known.
        place: String,
        /// What the parser said.
        source: serde_json::Error,
    },
    /// The scheduler file does not say which class it is.
    #[error("scheduler file: `_class_name` is missing; supported are {supported}")]
    NoClass {
        /// The classes that there are.
        supported: String,
    },
    /// A class that there is none of here.
    #[error("scheduler class `{class}` is not supported; supported are {supported}")]
    UnknownClass {
        /// The class asked for.
        class: String,
        /// The classes that there are.
        supported: String,
    },
    /// A value that a class documents and this crate does not have, or that nobody documents.
    #[error("{class}: {key} = {value} is not supported; {allowed}")]
    UnsupportedOption {
        /// The scheduler class.
        class: &'static str,
        /// The key.
        key: &'static str,
        /// The value given.
        value: String,
        /// What is supported, or why this is not.
        allowed: &'static str,
    },
    /// The file's schedule is none.
    #[error("{class}: {source}")]
    Schedule {
        /// The scheduler class.
        class: &'static str,
        /// What is wrong with it.
        source: MathError,
    },
}
