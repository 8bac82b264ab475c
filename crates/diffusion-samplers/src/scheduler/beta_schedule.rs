//! The keys of a scheduler file that say how the network was trained; all classes on a discrete schedule share them.

use diffusion_math::{DiscreteSchedule, MathError, Parameterization, ScheduleConfig, ScheduleKind};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::SetupError;

/// diffusers' `beta_schedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum BetaSchedule {
    #[serde(rename = "linear")]
    Linear,
    #[serde(rename = "scaled_linear")]
    ScaledLinear,
    #[serde(rename = "squaredcos_cap_v2")]
    Cosine,
    #[serde(rename = "sigmoid")]
    Sigmoid,
}

/// A class's keys of β.
pub(super) struct Betas<'a> {
    pub(super) class: &'static str,
    pub(super) n_train_steps: usize,
    pub(super) beta_start: f64,
    pub(super) beta_end: f64,
    pub(super) beta_schedule: BetaSchedule,
    pub(super) trained_betas: Option<&'a [f64]>,
    pub(super) zero_terminal_snr: bool,
}

impl Betas<'_> {
    /// The tables; `trained_betas` goes before everything else, as in diffusers.
    pub(super) fn schedule(&self) -> Result<DiscreteSchedule, SetupError> {
        let refuse = |source| SetupError::Schedule { class: self.class, source };
        let (start, end, n_steps) = (self.beta_start, self.beta_end, self.n_train_steps);
        let schedule = match (self.trained_betas, self.beta_schedule) {
            (Some(betas), _) if betas.len() != n_steps => {
                let what = "trained_betas against num_train_timesteps";
                return Err(refuse(MathError::LengthMismatch {
                    what,
                    expected: n_steps,
                    got: betas.len(),
                }));
            }
            (Some(betas), _) => DiscreteSchedule::from_betas(betas),
            (None, BetaSchedule::Linear) => DiscreteSchedule::linear_with(start, end, n_steps),
            (None, BetaSchedule::ScaledLinear) => {
                DiscreteSchedule::scaled_linear(start, end, n_steps)
            }
            (None, BetaSchedule::Cosine) => DiscreteSchedule::cosine(n_steps),
            (None, BetaSchedule::Sigmoid) => DiscreteSchedule::sigmoid(start, end, n_steps),
        };
        let schedule = schedule.map_err(refuse)?;
        if self.zero_terminal_snr {
            schedule.with_zero_terminal_snr().map_err(refuse)
        } else {
            Ok(schedule)
        }
    }
}

/// The keys of a newly trained network. With zero terminal signal the grid must visit the last timestep, which `trailing`
/// does (Lin et al. 2023, arXiv:2305.08891, Section 3.3).
pub(super) fn values_of(
    schedule: &ScheduleConfig,
    parameterization: Parameterization,
) -> Result<Map<String, Value>, SetupError> {
    let ends = schedule
        .beta_ends()
        .map_err(|source| SetupError::Schedule { class: "training", source })?;
    let kind = match schedule.kind {
        ScheduleKind::Linear => BetaSchedule::Linear,
        ScheduleKind::ScaledLinear => BetaSchedule::ScaledLinear,
        ScheduleKind::Cosine => BetaSchedule::Cosine,
        ScheduleKind::Sigmoid => BetaSchedule::Sigmoid,
        kind => {
            return Err(SetupError::UnsupportedOption {
                class: "training",
                key: "schedule",
                value: kind.name().into(),
                allowed: "scheduler files have linear, scaled-linear, cosine and sigmoid",
            });
        }
    };
    let mut values = Map::new();
    values.insert("num_train_timesteps".into(), json!(schedule.n_steps));
    values.insert("beta_schedule".into(), json!(kind));
    values.insert("prediction_type".into(), json!(parameterization));
    if let Some((start, end)) = ends {
        values.insert("beta_start".into(), json!(start));
        values.insert("beta_end".into(), json!(end));
    }
    if schedule.zero_terminal_snr {
        values.insert("rescale_betas_zero_snr".into(), json!(true));
        values.insert("timestep_spacing".into(), json!("trailing"));
    }
    Ok(values)
}
