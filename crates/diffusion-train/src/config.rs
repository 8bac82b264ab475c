//! The configuration of a run: one TOML file, one type, nothing unknown accepted.
//!
//! Defaults are those of the field; what contradicts itself is refused here, before anything is read or made.

use std::path::PathBuf;

use diffusion_math::{DiscreteSchedule, Parameterization, ScheduleConfig};
use diffusion_models::{SampleSize, UNet2dConfig};
use serde::{Deserialize, Serialize};

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunConfig {
    /// Where the run lives.
    pub run: RunSection,
    /// What it learns from.
    pub data: DataSection,
    /// The forward process.
    pub schedule: ScheduleConfig,
    /// The network.
    pub model: ModelSection,
    /// What the network learns.
    #[serde(default)]
    pub objective: ObjectiveSection,
    /// How its weights move.
    #[serde(default)]
    pub optimizer: OptimizerSection,
    /// The averaged weights.
    #[serde(default)]
    pub ema: EmaSection,
    /// How long and how often.
    pub train: TrainSection,
    /// How samples are drawn from the finished run where nothing else is asked.
    #[serde(default)]
    pub sampling: SamplingSection,
}

/// `[run]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunSection {
    /// The run's directory, from the working directory.
    pub dir: PathBuf,
}

/// The readers of data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DataKind {
    /// A pair of IDX files as MNIST has them, gzip or plain.
    Mnist,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// The reader.
    pub kind: DataKind,
    /// The file of the images, from the working directory.
    pub images: PathBuf,
    /// The file of the labels.
    pub labels: PathBuf,
    /// Images are resized to `size × size` pixels.
    pub size: i64,
}

/// `[model.…]`: the table's name is the network's class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub enum ModelSection {
    /// `[model.unet2d]`: diffusers' `UNet2DModel`, its keys under diffusers' names. Channels, size and classes are the
    /// data's.
    #[serde(rename = "unet2d")]
    UNet2d(UNet2dConfig),
}

/// `[objective]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObjectiveSection {
    /// What the network predicts: `epsilon`, `sample` or `v_prediction`.
    pub prediction: Parameterization,
    /// Whether the network is told the class.
    pub class_conditional: bool,
    /// The probability with which a sample's class is replaced by "no class", so that guidance has both.
    pub class_dropout: f64,
}

impl Default for ObjectiveSection {
    fn default() -> Self {
        Self { prediction: Parameterization::Epsilon, class_conditional: true, class_dropout: 0.1 }
    }
}

/// How the learning rate goes on after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LearningRateDecay {
    /// It stays.
    Constant,
    /// It falls to zero with half a cosine over the run's steps (Loshchilov & Hutter 2017, arXiv:1608.03983, Eq. 5).
    Cosine,
}

/// `[optimizer]`: AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OptimizerSection {
    /// The highest learning rate, > 0.
    pub learning_rate: f64,
    /// Steps over which it rises linearly from 0.
    pub warmup_steps: u64,
    /// How it goes on.
    pub decay: LearningRateDecay,
    /// Decay rates of the first and second moment, each in [0, 1).
    pub betas: [f64; 2],
    /// Added to the root of the second moment, > 0.
    pub eps: f64,
    /// Decoupled weight decay, ≥ 0.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm, > 0.
    pub max_gradient_norm: f64,
}

impl Default for OptimizerSection {
    fn default() -> Self {
        Self {
            learning_rate: 1e-4,
            warmup_steps: 500,
            decay: LearningRateDecay::Constant,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            max_gradient_norm: 1.0,
        }
    }
}

/// `[ema]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmaSection {
    /// The decay that the warm-up rises to, in [0, 1).
    pub decay: f64,
}

impl Default for EmaSection {
    fn default() -> Self {
        Self { decay: 0.9999 }
    }
}

/// `[train]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainSection {
    /// Optimiser steps, ≥ 1.
    pub steps: u64,
    /// Samples a step, ≥ 1.
    pub batch_size: usize,
    /// Steps between checkpoints, ≥ 1; one is always written at the last step.
    pub checkpoint_every: u64,
    /// Fixes initial weights, data order, noise, times and class dropout.
    #[serde(default)]
    pub seed: u64,
}

/// `[sampling]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplingSection {
    /// Sampling steps, ≥ 1.
    pub steps: usize,
    /// `s` of `u + s·(c − u)`; 1 is none.
    pub guidance_scale: f64,
}

impl Default for SamplingSection {
    fn default() -> Self {
        Self { steps: 50, guidance_scale: 1.0 }
    }
}

/// A value that the types allow and the field does not.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{key} = {given}: {allowed}")]
pub struct InvalidValue {
    /// The key, with its sections: `train.steps`.
    pub key: String,
    /// What was given.
    pub given: String,
    /// What is allowed.
    pub allowed: String,
}

impl RunConfig {
    /// Checks what the types leave open, and what only several keys together can get wrong.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        let check = |good: bool, key: &str, given: String, allowed: &str| match good {
            true => Ok(()),
            false => Err(InvalidValue { key: key.into(), given, allowed: allowed.into() }),
        };
        let train = &self.train;
        check(train.steps >= 1, "train.steps", train.steps.to_string(), "expected at least 1")?;
        check(
            train.steps <= 1 << 40,
            "train.steps",
            train.steps.to_string(),
            "expected at most 2^40",
        )?;
        check(train.batch_size >= 1, "train.batch_size", "0".into(), "expected at least 1")?;
        check(
            train.batch_size <= 1 << 20,
            "train.batch_size",
            train.batch_size.to_string(),
            "expected at most 2^20",
        )?;
        check(
            train.checkpoint_every >= 1,
            "train.checkpoint_every",
            "0".into(),
            "expected at least 1",
        )?;
        let size = self.data.size;
        check(
            (1..=4096).contains(&size),
            "data.size",
            size.to_string(),
            "expected 1 to 4096 pixels",
        )?;

        let optimizer = &self.optimizer;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let rate = optimizer.learning_rate;
        check(
            positive(rate),
            "optimizer.learning_rate",
            rate.to_string(),
            "expected a positive number",
        )?;
        check(
            positive(optimizer.eps),
            "optimizer.eps",
            optimizer.eps.to_string(),
            "expected a positive number",
        )?;
        let in_unit = |value: f64| (0.0..1.0).contains(&value);
        let betas = optimizer.betas;
        check(
            betas.iter().all(|b| in_unit(*b)),
            "optimizer.betas",
            format!("{betas:?}"),
            "expected two of [0, 1)",
        )?;
        let decay = optimizer.weight_decay;
        check(
            decay >= 0.0 && decay.is_finite(),
            "optimizer.weight_decay",
            decay.to_string(),
            "expected ≥ 0",
        )?;
        let norm = optimizer.max_gradient_norm;
        check(
            positive(norm),
            "optimizer.max_gradient_norm",
            norm.to_string(),
            "expected a positive number",
        )?;
        check(
            in_unit(self.ema.decay),
            "ema.decay",
            self.ema.decay.to_string(),
            "expected a number of [0, 1)",
        )?;
        let dropout = self.objective.class_dropout;
        check(
            (0.0..=1.0).contains(&dropout),
            "objective.class_dropout",
            dropout.to_string(),
            "expected 0 to 1",
        )?;

        let schedule =
            DiscreteSchedule::try_from(&self.schedule).map_err(|error| InvalidValue {
                key: "schedule".into(),
                given: describe(&self.schedule),
                allowed: error.to_string(),
            })?;
        let impossible = self.objective.prediction == Parameterization::Epsilon
            && schedule.has_zero_terminal_snr();
        let allowed = "the schedule ends in pure noise (zero terminal SNR), where the noise says nothing of the data: \
                       expected v_prediction or sample";
        check(!impossible, "objective.prediction", self.objective.prediction.to_string(), allowed)?;

        check(self.sampling.steps >= 1, "sampling.steps", "0".into(), "expected at least 1")?;
        let n_steps = schedule.n_steps();
        let steps = self.sampling.steps;
        check(
            steps <= n_steps,
            "sampling.steps",
            steps.to_string(),
            &format!("expected at most schedule.n_steps = {n_steps}"),
        )?;
        let scale = self.sampling.guidance_scale;
        check(
            scale.is_finite(),
            "sampling.guidance_scale",
            scale.to_string(),
            "expected a finite number",
        )?;
        #[expect(clippy::float_cmp, reason = "exactly 1 is no guidance")]
        let unguided = scale == 1.0;
        let guided = self.objective.class_conditional && dropout > 0.0;
        let allowed =
            "expected 1: guidance needs objective.class_conditional and a class_dropout above 0";
        check(unguided || guided, "sampling.guidance_scale", scale.to_string(), allowed)?;

        let ModelSection::UNet2d(unet) = &self.model;
        self.check_model_against_data(unet)?;
        unet.validate().map_err(|error| self.model_error(error))?;
        let multiple = unet.size_multiple();
        check(
            size % multiple == 0,
            "data.size",
            size.to_string(),
            &format!(
                "expected a multiple of {multiple}: the network halves it {} times",
                unet.block_out_channels.len() - 1
            ),
        )
    }

    /// The network's configuration, with what the data decides filled in.
    pub fn unet(&self, channels: i64, n_classes: i64) -> UNet2dConfig {
        let ModelSection::UNet2d(unet) = &self.model;
        UNet2dConfig {
            in_channels: channels,
            out_channels: channels,
            sample_size: Some(SampleSize::Square(self.data.size)),
            // The last row is "no class", as DiT has it.
            num_class_embeds: self.objective.class_conditional.then_some(n_classes + 1),
            ..unet.clone()
        }
    }

    /// What the data decides must not be said again, differently, in the model.
    fn check_model_against_data(&self, unet: &UNet2dConfig) -> Result<(), InvalidValue> {
        let defaults = UNet2dConfig::default();
        let decided = [
            ("in_channels", unet.in_channels != defaults.in_channels),
            ("out_channels", unet.out_channels != defaults.out_channels),
            ("sample_size", unet.sample_size != defaults.sample_size),
            ("num_class_embeds", unet.num_class_embeds != defaults.num_class_embeds),
            ("class_embed_type", unet.class_embed_type != defaults.class_embed_type),
        ];
        match decided.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(InvalidValue {
                key: format!("model.unet2d.{key}"),
                given: "given".into(),
                allowed: "expected to be left out: the data and the objective decide it".into(),
            }),
            None => Ok(()),
        }
    }

    fn model_error(&self, error: diffusion_models::ModelError) -> InvalidValue {
        match error {
            diffusion_models::ModelError::InvalidConfig { key, value, allowed } => InvalidValue {
                key: format!("model.unet2d.{key}"),
                given: value,
                allowed: format!("expected {allowed}"),
            },
            other => InvalidValue {
                key: "model.unet2d".into(),
                given: "this table".into(),
                allowed: other.to_string(),
            },
        }
    }

    /// Keys in which this configuration differs from `other` though a resumed run must keep them: all but the steps, the
    /// checkpoint interval, the run's directory and how samples are drawn.
    pub fn contradictions(&self, other: &Self) -> Vec<String> {
        let table = |config: &Self| {
            let mut config = config.clone();
            config.run.dir = PathBuf::new();
            config.train.steps = 1;
            config.train.checkpoint_every = 1;
            config.sampling = SamplingSection::default();
            toml::Value::try_from(config).expect("a configuration is plain data")
        };
        let mut keys = Vec::new();
        differing_keys("", &table(self), &table(other), &mut keys);
        keys
    }
}

fn describe(schedule: &ScheduleConfig) -> String {
    let text = toml::to_string(schedule).unwrap_or_default();
    format!("{{ {} }}", text.trim().replace('\n', ", "))
}

fn differing_keys(prefix: &str, a: &toml::Value, b: &toml::Value, keys: &mut Vec<String>) {
    let (Some(a_table), Some(b_table)) = (a.as_table(), b.as_table()) else {
        if a != b {
            keys.push(format!("{prefix} = {b}, was {a}"));
        }
        return;
    };
    let names: std::collections::BTreeSet<&String> = a_table.keys().chain(b_table.keys()).collect();
    for name in names {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        match (a_table.get(name), b_table.get(name)) {
            (Some(a), Some(b)) => differing_keys(&path, a, b, keys),
            (Some(a), None) => keys.push(format!("{path} is absent, was {a}")),
            (None, Some(b)) => keys.push(format!("{path} = {b}, was absent")),
            (None, None) => {}
        }
    }
}
