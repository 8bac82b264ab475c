//! `DDIMScheduler`.

use diffusion_math::{DiscreteSchedule, Parameterization, State};
use serde::{Deserialize, Serialize};

use super::beta_schedule::{BetaSchedule, Betas};
use super::clipping_keys::ClippingKeys;
use super::{SamplerOptions, SchedulerClass};
use crate::{Ddim, NoiseEstimate, NoiseGrid, Sampler, SetupError, TimestepSpacing, timesteps};

/// The keys of a `DDIMScheduler` with diffusers' defaults.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct DdimConfig {
    num_train_timesteps: usize,
    beta_start: f64,
    beta_end: f64,
    beta_schedule: BetaSchedule,
    trained_betas: Option<Vec<f64>>,
    clip_sample: bool,
    set_alpha_to_one: bool,
    steps_offset: usize,
    prediction_type: Parameterization,
    thresholding: bool,
    dynamic_thresholding_ratio: f64,
    clip_sample_range: f64,
    sample_max_value: f64,
    timestep_spacing: TimestepSpacing,
    rescale_betas_zero_snr: bool,
}

impl Default for DdimConfig {
    fn default() -> Self {
        Self {
            num_train_timesteps: 1000,
            beta_start: 1e-4,
            beta_end: 0.02,
            beta_schedule: BetaSchedule::Linear,
            trained_betas: None,
            clip_sample: true,
            set_alpha_to_one: true,
            steps_offset: 0,
            prediction_type: Parameterization::Epsilon,
            thresholding: false,
            dynamic_thresholding_ratio: 0.995,
            clip_sample_range: 1.0,
            sample_max_value: 1.0,
            timestep_spacing: TimestepSpacing::Leading,
            rescale_betas_zero_snr: false,
        }
    }
}

impl DdimConfig {
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
}

impl SchedulerClass for DdimConfig {
    const NAME: &'static str = "DDIMScheduler";

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
        if self.beta_schedule == BetaSchedule::Sigmoid && self.trained_betas.is_none() {
            return Err(SetupError::UnsupportedOption {
                class: Self::NAME,
                key: "beta_schedule",
                value: "sigmoid".into(),
                allowed: "the class has linear, scaled_linear and squaredcos_cap_v2",
            });
        }
        self.clipping_keys().check()
    }

    /// Every step goes `⌊T/n⌋` timesteps down, wherever the next one starts; past timestep 0 it ends in clean data or,
    /// without `set_alpha_to_one`, at timestep 0.
    #[expect(clippy::integer_division, reason = "diffusers' `T // n`")]
    fn grid(&self, schedule: &DiscreteSchedule, n_steps: usize) -> Result<NoiseGrid, SetupError> {
        let n_train_steps = schedule.n_steps();
        let timesteps =
            timesteps(self.timestep_spacing, n_train_steps, n_steps, self.steps_offset)?;
        let stride = n_train_steps / n_steps;
        let end = schedule.level(if self.set_alpha_to_one { 0 } else { 1 });
        let target = |t: usize| {
            t.checked_sub(stride).map_or(end, |target| schedule.level_at_timestep(target))
        };
        let levels: Vec<_> = timesteps.iter().map(|&t| schedule.level_at_timestep(t)).collect();
        let targets: Vec<_> = timesteps.iter().map(|&t| target(t)).collect();
        NoiseGrid::with_targets(&levels, &targets)
    }

    fn sampler<S: State>(
        &self,
        options: &SamplerOptions,
    ) -> Result<Box<dyn Sampler<S>>, SetupError> {
        let noise_of = if options.use_clipped_model_output {
            NoiseEstimate::Clipped
        } else {
            NoiseEstimate::Unclipped
        };
        let sampler = Ddim::with_eta(options.eta.unwrap_or(0.0))?
            .with_clipping(self.clipping_keys().clipping())
            .with_noise_estimate(noise_of);
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
