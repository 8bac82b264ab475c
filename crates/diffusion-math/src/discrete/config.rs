//! A discrete schedule as a configuration file states it.

use serde::{Deserialize, Serialize};

use super::DiscreteSchedule;
use super::named::{REFERENCE_STEPS, scaled_ends};
use crate::MathError;

/// The named discrete schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ScheduleKind {
    /// [`DiscreteSchedule::linear`] or, with betas, [`DiscreteSchedule::linear_with`].
    Linear,
    /// [`DiscreteSchedule::scaled_linear`].
    #[serde(alias = "scaled_linear")]
    ScaledLinear,
    /// [`DiscreteSchedule::cosine`].
    #[serde(alias = "squaredcos_cap_v2")]
    Cosine,
    /// [`DiscreteSchedule::sigmoid`].
    Sigmoid,
}

impl ScheduleKind {
    /// The name in configuration files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::ScaledLinear => "scaled-linear",
            Self::Cosine => "cosine",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// A schedule of a configuration file, turned into tables by `DiscreteSchedule::try_from`.
///
/// Without betas the paper's are taken, scaled by 1000/T; with both they are taken as they stand, as diffusers does.
///
/// ```
/// use diffusion_math::{DiscreteSchedule, ScheduleConfig, ScheduleKind};
/// let config = ScheduleConfig::new(ScheduleKind::Cosine, 500);
/// let schedule = DiscreteSchedule::try_from(&config)?;
/// assert_eq!(schedule.n_steps(), 500);
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleConfig {
    /// Which schedule: `linear`, `scaled-linear`, `cosine` or `sigmoid`.
    pub kind: ScheduleKind,
    /// T ≥ 1, the number of steps.
    #[serde(default = "default_n_steps")]
    pub n_steps: usize,
    /// β of the first step, in (0, 1); not for `cosine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_start: Option<f64>,
    /// β of the last step, in (0, 1), not below `beta_start`; not for `cosine`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beta_end: Option<f64>,
    /// Whether the last level is rescaled to pure noise ([`DiscreteSchedule::with_zero_terminal_snr`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub zero_terminal_snr: bool,
}

fn default_n_steps() -> usize {
    1000
}

impl ScheduleConfig {
    /// The paper's schedule of this kind, in `n_steps` steps.
    pub fn new(kind: ScheduleKind, n_steps: usize) -> Self {
        Self { kind, n_steps, beta_start: None, beta_end: None, zero_terminal_snr: false }
    }

    /// β of the first and last step, given or scaled from the paper's 1000 steps; none for `cosine`, whose β come from ᾱ.
    ///
    /// # Errors
    /// One β without the other, a β for `cosine`, or so few steps that a scaled β reaches 1.
    pub fn beta_ends(&self) -> Result<Option<(f64, f64)>, MathError> {
        let refuse = |reason| Err(MathError::ScheduleKey { kind: self.kind.name(), reason });
        match (self.kind, self.beta_start, self.beta_end) {
            (ScheduleKind::Cosine, None, None) => Ok(None),
            (ScheduleKind::Cosine, ..) => refuse("it takes no beta_start and no beta_end"),
            (_, Some(start), Some(end)) => Ok(Some((start, end))),
            (_, Some(_), None) => refuse("beta_start is given without beta_end"),
            (_, None, Some(_)) => refuse("beta_end is given without beta_start"),
            (ScheduleKind::ScaledLinear, None, None) => {
                scaled_ends(0.000_85, 0.012, self.n_steps).map(Some)
            }
            (_, None, None) => scaled_ends(1e-4, 0.02, self.n_steps).map(Some),
        }
    }
}

impl Default for ScheduleConfig {
    /// DDPM's: linear, 1000 steps.
    fn default() -> Self {
        Self::new(ScheduleKind::Linear, REFERENCE_STEPS as usize)
    }
}

impl TryFrom<&ScheduleConfig> for DiscreteSchedule {
    type Error = MathError;

    fn try_from(config: &ScheduleConfig) -> Result<Self, MathError> {
        let schedule = match (config.kind, config.beta_ends()?) {
            (ScheduleKind::Linear, Some((start, end))) => {
                Self::linear_with(start, end, config.n_steps)?
            }
            (ScheduleKind::ScaledLinear, Some((start, end))) => {
                Self::scaled_linear(start, end, config.n_steps)?
            }
            (ScheduleKind::Sigmoid, Some((start, end))) => {
                Self::sigmoid(start, end, config.n_steps)?
            }
            (_, None) | (ScheduleKind::Cosine, _) => Self::cosine(config.n_steps)?,
        };
        if config.zero_terminal_snr { schedule.with_zero_terminal_snr() } else { Ok(schedule) }
    }
}

impl TryFrom<ScheduleConfig> for DiscreteSchedule {
    type Error = MathError;

    fn try_from(config: ScheduleConfig) -> Result<Self, MathError> {
        Self::try_from(&config)
    }
}
