//! The configuration of a `UNet2DModel`, key by key as diffusers has it.

use serde::{Deserialize, Serialize};

use crate::ModelError;
use crate::layers::{Activation, TimeConditioning};

/// A block on the way down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DownBlockType {
    /// Residual blocks.
    DownBlock2D,
    /// Residual blocks, each followed by self-attention.
    AttnDownBlock2D,
}

/// A block on the way up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpBlockType {
    /// Residual blocks.
    UpBlock2D,
    /// Residual blocks, each followed by self-attention.
    AttnUpBlock2D,
}

/// The block in the middle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum MidBlockType {
    /// Residual block, self-attention, residual block.
    UNetMidBlock2D,
}

/// How the time becomes features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimeEmbeddingType {
    /// Sinusoids of the time.
    Positional,
    /// Random Fourier features of its logarithm; the output is then divided by the time.
    Fourier,
    /// A learned vector for each of `num_train_timesteps` times.
    Learned,
}

/// What a class label is, where it is not a row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassEmbedType {
    /// A number that is embedded as the time is.
    Timestep,
    /// A vector of `time_embedding_dim` features, added as it is.
    Identity,
}

/// How a block with attention changes the size of the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ResampleType {
    /// By a convolution.
    Conv,
    /// By a residual block.
    Resnet,
}

/// Height and width of the samples that the network was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SampleSize {
    /// A square.
    Square(i64),
    /// Height, then width.
    Rectangle(i64, i64),
}

impl SampleSize {
    /// `(height, width)`.
    pub fn height_width(self) -> (i64, i64) {
        match self {
            Self::Square(side) => (side, side),
            Self::Rectangle(height, width) => (height, width),
        }
    }
}

/// Every key of a `UNet2DModel`; the default is diffusers' own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct UNet2dConfig {
    /// Activation of the residual blocks.
    pub act_fn: Activation,
    /// Whether the middle has self-attention.
    pub add_attention: bool,
    /// Channels of one attention head; none, one head.
    pub attention_head_dim: Option<i64>,
    /// Groups of the normalisation in the middle's attention; none, as `norm_num_groups`.
    pub attn_norm_num_groups: Option<i64>,
    /// Channels at each resolution.
    pub block_out_channels: Vec<i64>,
    /// Whether the input is mapped from [0, 1] to [−1, 1] first.
    pub center_input_sample: bool,
    /// What a class label is; none, a row of a table of `num_class_embeds`.
    pub class_embed_type: Option<ClassEmbedType>,
    /// Blocks on the way down.
    pub down_block_types: Vec<DownBlockType>,
    /// Padding of the halving convolutions, 0 or 1.
    pub downsample_padding: i64,
    /// How blocks with attention halve.
    pub downsample_type: ResampleType,
    /// Dropout probability in the residual blocks, while training.
    pub dropout: f64,
    /// Cosines before sines in the time features.
    pub flip_sin_to_cos: bool,
    /// Shift in the exponent of the time features' frequencies.
    pub freq_shift: f64,
    /// Channels of the sample.
    pub in_channels: i64,
    /// Residual blocks a resolution.
    pub layers_per_block: usize,
    /// The middle's sums are divided by this.
    pub mid_block_scale_factor: f64,
    /// The block in the middle; none, no block.
    pub mid_block_type: Option<MidBlockType>,
    /// Epsilon of every normalisation.
    pub norm_eps: f64,
    /// Groups of every normalisation.
    pub norm_num_groups: i64,
    /// Rows of the class table, where there is one.
    pub num_class_embeds: Option<i64>,
    /// Rows of the table of a learned time embedding.
    pub num_train_timesteps: Option<i64>,
    /// Channels of the output; twice `in_channels` where the variance is learned.
    pub out_channels: i64,
    /// How the time enters the residual blocks.
    pub resnet_time_scale_shift: TimeConditioning,
    /// The samples' size: what a pipeline draws.
    pub sample_size: Option<SampleSize>,
    /// Features of the time embedding; none, four times the first `block_out_channels`.
    pub time_embedding_dim: Option<i64>,
    /// How the time becomes features.
    pub time_embedding_type: TimeEmbeddingType,
    /// Blocks on the way up.
    pub up_block_types: Vec<UpBlockType>,
    /// How blocks with attention double.
    pub upsample_type: ResampleType,
}

impl Default for UNet2dConfig {
    fn default() -> Self {
        use {DownBlockType as Down, UpBlockType as Up};
        Self {
            act_fn: Activation::Silu,
            add_attention: true,
            attention_head_dim: Some(8),
            attn_norm_num_groups: None,
            block_out_channels: vec![224, 448, 672, 896],
            center_input_sample: false,
            class_embed_type: None,
            down_block_types: vec![
                Down::DownBlock2D,
                Down::AttnDownBlock2D,
                Down::AttnDownBlock2D,
                Down::AttnDownBlock2D,
            ],
            downsample_padding: 1,
            downsample_type: ResampleType::Conv,
            dropout: 0.0,
            flip_sin_to_cos: true,
            freq_shift: 0.0,
            in_channels: 3,
            layers_per_block: 2,
            mid_block_scale_factor: 1.0,
            mid_block_type: Some(MidBlockType::UNetMidBlock2D),
            norm_eps: 1e-5,
            norm_num_groups: 32,
            num_class_embeds: None,
            num_train_timesteps: None,
            out_channels: 3,
            resnet_time_scale_shift: TimeConditioning::Add,
            sample_size: None,
            time_embedding_dim: None,
            time_embedding_type: TimeEmbeddingType::Positional,
            up_block_types: vec![
                Up::AttnUpBlock2D,
                Up::AttnUpBlock2D,
                Up::AttnUpBlock2D,
                Up::UpBlock2D,
            ],
            upsample_type: ResampleType::Conv,
        }
    }
}

impl UNet2dConfig {
    /// Features of the time embedding.
    pub fn time_features(&self) -> i64 {
        self.time_embedding_dim.unwrap_or(self.block_out_channels[0] * 4)
    }

    /// Height and width must be multiples of this: each resolution but the last halves them.
    pub fn size_multiple(&self) -> i64 {
        1 << (self.block_out_channels.len() - 1)
    }

    /// Whether the network takes class labels.
    pub fn is_class_conditional(&self) -> bool {
        self.num_class_embeds.is_some() || self.class_embed_type.is_some()
    }

    /// Checks what the types leave open.
    ///
    /// # Errors
    /// [`ModelError::InvalidConfig`] with key, value and what is allowed.
    pub fn validate(&self) -> Result<(), ModelError> {
        let refuse = |key, value: String, allowed: &str| {
            Err(ModelError::InvalidConfig { key, value, allowed: allowed.to_owned() })
        };
        let levels = self.block_out_channels.len();
        if levels == 0 || levels > 16 {
            return refuse(
                "block_out_channels",
                format!("{:?}", self.block_out_channels),
                "1 to 16 channel counts",
            );
        }
        if self.block_out_channels.iter().any(|&c| !(1..=1 << 20).contains(&c)) {
            return refuse(
                "block_out_channels",
                format!("{:?}", self.block_out_channels),
                "each from 1 to 2^20",
            );
        }
        if self.down_block_types.len() != levels {
            return refuse(
                "down_block_types",
                format!("{:?}", self.down_block_types),
                "one for each of block_out_channels",
            );
        }
        if self.up_block_types.len() != levels {
            return refuse(
                "up_block_types",
                format!("{:?}", self.up_block_types),
                "one for each of block_out_channels",
            );
        }
        let counts = [
            ("in_channels", Some(self.in_channels)),
            ("out_channels", Some(self.out_channels)),
            ("norm_num_groups", Some(self.norm_num_groups)),
            ("num_class_embeds", self.num_class_embeds),
            ("num_train_timesteps", self.num_train_timesteps),
            ("time_embedding_dim", self.time_embedding_dim),
            ("attention_head_dim", self.attention_head_dim),
            ("attn_norm_num_groups", self.attn_norm_num_groups),
        ];
        for (key, count) in counts {
            if count.is_some_and(|c| !(1..=1 << 24).contains(&c)) {
                return refuse(
                    key,
                    format!("{}", count.unwrap_or_default()),
                    "a whole number from 1 to 2^24",
                );
            }
        }
        if !(1..=64).contains(&self.layers_per_block) {
            return refuse("layers_per_block", self.layers_per_block.to_string(), "1 to 64");
        }
        if !(0..=1).contains(&self.downsample_padding) {
            return refuse("downsample_padding", self.downsample_padding.to_string(), "0 or 1");
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return refuse("dropout", self.dropout.to_string(), "0 ≤ dropout < 1");
        }
        if !(self.norm_eps > 0.0 && self.norm_eps.is_finite()) {
            return refuse("norm_eps", self.norm_eps.to_string(), "a positive number");
        }
        if !(self.mid_block_scale_factor.is_finite() && self.mid_block_scale_factor.abs() > 0.0) {
            return refuse(
                "mid_block_scale_factor",
                self.mid_block_scale_factor.to_string(),
                "a number other than 0",
            );
        }
        if let Some((height, width)) = self.sample_size.map(SampleSize::height_width)
            && ![height, width].iter().all(|n| (1..=1 << 16).contains(n))
        {
            return refuse("sample_size", format!("{height}×{width}"), "1 to 65536");
        }
        let half = (self.block_out_channels[0] >> 1) as f64;
        if !self.freq_shift.is_finite() || self.freq_shift >= half {
            return refuse(
                "freq_shift",
                self.freq_shift.to_string(),
                "a finite number below half of the first block_out_channels",
            );
        }
        self.validate_divisors()?;
        // Enough for any network that exists; a slip of the pen is an error here and not an exhausted machine.
        let squares: i128 =
            self.block_out_channels.iter().map(|&c| i128::from(c) * i128::from(c)).sum();
        if squares * 40 * (self.layers_per_block as i128 + 1) > 1 << 36 {
            return refuse(
                "block_out_channels",
                format!("{:?}", self.block_out_channels),
                "a network below 2^36 parameters",
            );
        }
        if self.time_embedding_type == TimeEmbeddingType::Learned
            && self.num_train_timesteps.is_none()
        {
            return refuse(
                "num_train_timesteps",
                "null".into(),
                "a count, since time_embedding_type is \"learned\"",
            );
        }
        if self.time_embedding_type == TimeEmbeddingType::Fourier
            && self.class_embed_type == Some(ClassEmbedType::Timestep)
        {
            return refuse(
                "class_embed_type",
                "timestep".into(),
                "null or \"identity\" with Fourier time features",
            );
        }
        Ok(())
    }

    /// Groups and heads divide the channels that they are of.
    fn validate_divisors(&self) -> Result<(), ModelError> {
        let refuse = |key, value: i64, channels: i64| {
            let allowed = format!("a divisor of the {channels} channels of block_out_channels");
            Err(ModelError::InvalidConfig { key, value: value.to_string(), allowed })
        };
        let levels = self.block_out_channels.len();
        for (level, &channels) in self.block_out_channels.iter().enumerate() {
            if channels % self.norm_num_groups != 0 {
                return refuse("norm_num_groups", self.norm_num_groups, channels);
            }
            let last = level + 1 == levels;
            let attends = self.down_block_types[level] == DownBlockType::AttnDownBlock2D
                || self.up_block_types[levels - 1 - level] == UpBlockType::AttnUpBlock2D
                || (last && self.mid_block_type.is_some() && self.add_attention);
            match self.attention_head_dim {
                Some(head) if attends && channels % head != 0 => {
                    return refuse("attention_head_dim", head, channels);
                }
                _ => {}
            }
            match self.attn_norm_num_groups {
                Some(groups) if last && channels % groups != 0 => {
                    return refuse("attn_norm_num_groups", groups, channels);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
