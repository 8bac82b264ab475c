//! `DDPMScheduler`.

use diffusion_math::{DiscreteSchedule, Parameterization, State};
use serde::{Deserialize, Serialize};

use super::beta_schedule::{BetaSchedule, Betas};
use super::clipping_keys::ClippingKeys;
use super::{SamplerOptions, SchedulerClass};
use crate::{Ddpm, FinalNoise, NoiseGrid, ReverseVariance, Sampler, SetupError, TimestepSpacing};

/// The keys of a `DDPMScheduler` with diffusers' defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DdpmConfig {
    num_train_timesteps: usize,
    beta_start: f64,
    beta_end: f64,
    beta_schedule: BetaSchedule,
    trained_betas: Option<Vec<f64>>,
    variance_type: VarianceType,
    clip_sample: bool,
    prediction_type: Parameterization,
    thresholding: bool,
    dynamic_thresholding_ratio: f64,
    clip_sample_range: f64,
    sample_max_value: f64,
    timestep_spacing: TimestepSpacing,
    steps_offset: usize,
    rescale_betas_zero_snr: bool,
}

/// diffusers' `variance_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum VarianceType {
    FixedSmall,
    FixedSmallLog,
    FixedLarge,
    FixedLargeLog,
    Learned,
    LearnedRange,
}

impl Default for DdpmConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            variance_type: VarianceType::FixedSmall,
            clip_sample: true,
            prediction_type: Parameterization::Epsilon,
            thresholding: false,
            dynamic_thresholding_ratio: 0.995,
            clip_sample_range: 1.0,
            sample_max_value: 1.0,
            timestep_spacing: TimestepSpacing::Leading,
            steps_offset: 0,
            rescale_betas_zero_snr: false,
        }
    }
}

impl DdpmConfig {
    fn clipping_keys(&self) -> ClippingKeys {
        ClippingKeys {
            class: Self::NAME,
            clip_sample: self.clip_sample,
            clip_sample_range: self.clip_sample_range,
            thresholding: self.thresholding,
            dynamic_thresholding_ratio: self.dynamic_thresholding_ratio,
            sample_max_value: self.sample_max_value,
        }
    }

    /// `fixed_small_log` takes the logarithm and undoes it.
    fn variance(&self) -> Result<ReverseVariance, SetupError> {
        let refuse = |value: &str, allowed| {
            Err(SetupError::UnsupportedOption {
                class: Self::NAME,
                key: "variance_type",
                value: value.into(),
                allowed,
            })
        };
        match self.variance_type {
            VarianceType::FixedSmall | VarianceType::FixedSmallLog => {
                Ok(ReverseVariance::BetaTilde)
            }
            VarianceType::FixedLarge => Ok(ReverseVariance::Beta),
            VarianceType::LearnedRange => Ok(ReverseVariance::Learned),
            VarianceType::FixedLargeLog => refuse(
                "fixed_large_log",
                "diffusers takes the root of a negative logarithm there and returns NaN; supported are fixed_small, \
                 fixed_small_log, fixed_large, learned_range",
            ),
            VarianceType::Learned => refuse(
                "learned",
                "supported are fixed_small, fixed_small_log, fixed_large, learned_range",
            ),
        }
    }
}

impl SchedulerClass for DdpmConfig {
    const NAME: &'static str = "DDPMScheduler";

    fn betas(&self) -> Betas<'_> {
        Betas {
            class: Self::NAME,
            n_train_steps: self.num_train_timesteps,
            beta_start: self.beta_start,
            beta_end: self.beta_end,
            beta_schedule: self.beta_schedule,
            trained_betas: self.trained_betas.as_deref(),
            zero_terminal_snr: self.rescale_betas_zero_snr,
        }
    }

    fn parameterization(&self) -> Parameterization {
        self.prediction_type
    }

    fn check(&self) -> Result<(), SetupError> {
        self.variance()?;
        self.clipping_keys().check()
    }

    /// Each step ends where the next one starts, the last in clean data.
    fn grid(&self, schedule: &DiscreteSchedule, n_steps: usize) -> Result<NoiseGrid, SetupError> {
        NoiseGrid::spaced(schedule, self.timestep_spacing, n_steps, self.steps_offset)
    }

    fn sampler<S: State>(
        &self,
        options: &SamplerOptions,
    ) -> Result<Box<dyn Sampler<S>>, SetupError> {
        let refuse = |key, value: String| {
            let allowed = "DDPM has none; its noise is set by variance_type";
            Err(SetupError::UnsupportedOption { class: Self::NAME, key, value, allowed })
        };
        if let Some(eta) = options.eta {
            return refuse("eta", eta.to_string());
        }
        if options.use_clipped_model_output {
            return refuse("use_clipped_model_output", "true".into());
        }
        let sampler = Ddpm::new(self.variance()?)
            .with_clipping(self.clipping_keys().clipping())
            .with_final_noise(FinalNoise::UnlessTimeZero);
        Ok(Box::new(sampler))
    }

    fn set_timestep_spacing(&mut self, spacing: TimestepSpacing) {
        self.timestep_spacing = spacing;
    }

    fn set_clipping(&mut self, bound: Option<f64>) {
        (self.clip_sample, self.thresholding) = (bound.is_some(), false);
        self.clip_sample_range = bound.unwrap_or(1.0);
    }
}
