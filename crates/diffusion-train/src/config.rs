//! The configuration of a run: one TOML file, one type, nothing unknown accepted.
//!
//! Defaults are those of the field; what contradicts itself is refused here, before anything is read or made.

use std::path::PathBuf;

use diffusion_math::{Parameterization, ScheduleConfig};
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
    /// A folder of pictures, a class for each sub-folder.
    Folder,
}

/// `[data]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataSection {
    /// The reader.
    pub kind: DataKind,
    /// `mnist`: the file of the images, from the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<PathBuf>,
    /// `mnist`: the file of the labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<PathBuf>,
    /// `folder`: the folder, from the working directory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// `folder`: 1 for grey, 3 for red, green and blue; the default is 3.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<i64>,
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

impl RunConfig {
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
}
