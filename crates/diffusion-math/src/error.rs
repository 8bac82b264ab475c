//! What can be wrong with a value that enters the crate; inside, nothing fails.

use crate::Parameterization;

/// A value that was refused, with the numbers in it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MathError {
    /// A schedule of zero steps.
    #[error("a schedule has at least one step, 0 were given")]
    NoSteps,
    /// A per-step β that is no probability of forgetting.
    #[error("beta of step {step} is {beta}, allowed is 0 < beta < 1")]
    BetaOutOfRange {
        /// The step, counted from 1.
        step: usize,
        /// The value given.
        beta: f64,
    },
    /// Betas that fall: `beta_start > beta_end`.
    #[error("beta_start {beta_start} is above beta_end {beta_end}")]
    BetaRange {
        /// β of the first step.
        beta_start: f64,
        /// β of the last step.
        beta_end: f64,
    },
    /// A schedule for 1000 steps that cannot be scaled to so few.
    #[error(
        "{n_steps} steps are too few: scaled from 1000 steps, the last beta would be {beta_end}, allowed is below 1"
    )]
    TooFewSteps {
        /// Steps asked for.
        n_steps: usize,
        /// The last β that scaling gives.
        beta_end: f64,
    },
    /// A terminal signal that cannot be rescaled away, because it is the only level.
    #[error(
        "a schedule of {n_steps} step cannot be rescaled to zero terminal signal-to-noise ratio; at least 2 are needed"
    )]
    RescaleTooShort {
        /// Steps of the schedule.
        n_steps: usize,
    },
    /// A configuration key that its schedule does not have, or lacks.
    #[error("schedule `{kind}`: {reason}")]
    ScheduleKey {
        /// The schedule's name in configuration.
        kind: &'static str,
        /// What is wrong.
        reason: &'static str,
    },
    /// A prediction that says nothing about the clean sample at this level.
    #[error(
        "{parameterization} says nothing about x0 where alpha = 0 (time {time}); use sample or v_prediction"
    )]
    NoSignal {
        /// What the network predicts.
        parameterization: Parameterization,
        /// The level's time.
        time: f64,
    },
    /// A prediction that says nothing about the noise at this level.
    #[error("{parameterization} says nothing about the noise where sigma = 0 (time {time})")]
    NoNoise {
        /// What the network predicts.
        parameterization: Parameterization,
        /// The level's time.
        time: f64,
    },
    /// A number that is not finite, or negative where it may not be.
    #[error("{what} is {value}, allowed is {allowed}")]
    OutOfRange {
        /// The number's name.
        what: &'static str,
        /// The value given.
        value: f64,
        /// What would have been accepted.
        allowed: &'static str,
    },
    /// A covariance that is none.
    #[error(
        "the covariance is not positive definite: row {row} leaves a variance of {remaining} given the rows before it"
    )]
    NotPositiveDefinite {
        /// The first row, from 0, that fails.
        row: usize,
        /// Its conditional variance, which must be positive.
        remaining: f64,
    },
    /// Two lengths that must agree.
    #[error("{what}: expected {expected}, got {got}")]
    LengthMismatch {
        /// What was counted.
        what: &'static str,
        /// The length required.
        expected: usize,
        /// The length given.
        got: usize,
    },
}
