//! The blocks of the UNet: residual blocks at one resolution, with or without attention, then a change of resolution.

use tch::{TchError, Tensor};

use super::config::{ResampleType, UNet2dConfig};
use crate::layers::{
    Downsample2d, Mode, Resample, ResnetBlock2d, ResnetBlock2dConfig, SelfAttention2d,
    SelfAttention2dConfig, Upsample2d,
};
use crate::{ModelError, Scope};

/// A residual block and, in the blocks with attention, what follows it.
#[derive(Debug)]
struct Layer {
    resnet: ResnetBlock2d,
    attention: Option<SelfAttention2d>,
}

impl Layer {
    fn forward(&self, x: &Tensor, time: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        let x = self.resnet.forward(x, time, mode)?;
        match &self.attention {
            Some(attention) => attention.forward(&x),
            None => Ok(x),
        }
    }
}

fn resnet_config(
    config: &UNet2dConfig,
    inputs: i64,
    outputs: i64,
    resample: Resample,
) -> ResnetBlock2dConfig {
    ResnetBlock2dConfig {
        inputs,
        outputs,
        time_features: config.time_features(),
        norm_groups: config.norm_num_groups,
        norm_eps: config.norm_eps,
        activation: config.act_fn,
        time_conditioning: config.resnet_time_scale_shift,
        dropout: config.dropout,
        output_scale: 1.0,
        resample,
    }
}

fn attention_config(config: &UNet2dConfig, channels: i64) -> SelfAttention2dConfig {
    SelfAttention2dConfig {
        channels,
        head_channels: config.attention_head_dim.unwrap_or(channels),
        norm_groups: Some(config.norm_num_groups),
        norm_eps: config.norm_eps,
        output_scale: 1.0,
    }
}

/// How a block ends.
#[derive(Debug)]
enum Resampler {
    Down(Downsample2d),
    Up(Upsample2d),
    Resnet(Box<ResnetBlock2d>),
}

impl Resampler {
    fn forward(&self, x: &Tensor, time: &Tensor, mode: Mode) -> Result<Tensor, TchError> {
        match self {
            Self::Down(layer) => layer.forward(x),
            Self::Up(layer) => layer.forward(x),
            Self::Resnet(block) => block.forward(x, time, mode),
        }
    }
}

/// A block on the way down; every map that it makes is kept for the way up.
#[derive(Debug)]
pub(super) struct DownBlock {
    layers: Vec<Layer>,
    downsampler: Option<Resampler>,
}

/// Where a block stands in the network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    pub(super) attention: bool,
    /// The last block of its way changes no resolution.
    pub(super) is_last: bool,
}

impl DownBlock {
    pub(super) fn new(
        scope: &Scope<'_>,
        config: &UNet2dConfig,
        inputs: i64,
        outputs: i64,
        position: Position,
    ) -> Result<Self, ModelError> {
        let layers = (0..config.layers_per_block)
            .map(|i| {
                layer(
                    scope,
                    config,
                    i,
                    if i == 0 { inputs } else { outputs },
                    outputs,
                    position.attention,
                )
            })
            .collect::<Result<_, _>>()?;
        let place = scope.at("downsamplers").at(0);
        let downsampler = resampler(&place, config, outputs, position, Resample::Halve)?;
        Ok(Self { layers, downsampler })
    }

    pub(super) fn forward(
        &self,
        x: &Tensor,
        time: &Tensor,
        skips: &mut Vec<Tensor>,
        mode: Mode,
    ) -> Result<Tensor, TchError> {
        let mut x = x.shallow_clone();
        for layer in &self.layers {
            x = layer.forward(&x, time, mode)?;
            skips.push(x.shallow_clone());
        }
        if let Some(downsampler) = &self.downsampler {
            x = downsampler.forward(&x, time, mode)?;
            skips.push(x.shallow_clone());
        }
        Ok(x)
    }
}

/// The end of a block: none behind the last, a residual block where the configuration wants one, else a convolution.
fn resampler(
    place: &Scope<'_>,
    config: &UNet2dConfig,
    channels: i64,
    position: Position,
    change: Resample,
) -> Result<Option<Resampler>, ModelError> {
    if position.is_last {
        return Ok(None);
    }
    let resample_type = match change {
        Resample::Double => config.upsample_type,
        Resample::Halve | Resample::Keep => config.downsample_type,
    };
    // diffusers gives blocks without attention a convolution whatever the type says.
    Ok(Some(match (position.attention, resample_type, change) {
        (true, ResampleType::Resnet, _) => {
            let resnet = resnet_config(config, channels, channels, change);
            Resampler::Resnet(Box::new(ResnetBlock2d::new(place, resnet)?))
        }
        (_, _, Resample::Double) => Resampler::Up(Upsample2d::new(place, channels)?),
        _ => Resampler::Down(Downsample2d::new(place, channels, config.downsample_padding)?),
    }))
}

fn layer(
    scope: &Scope<'_>,
    config: &UNet2dConfig,
    index: usize,
    inputs: i64,
    outputs: i64,
    attention: bool,
) -> Result<Layer, ModelError> {
    let resnet = resnet_config(config, inputs, outputs, Resample::Keep);
    let resnet = ResnetBlock2d::new(&scope.at("resnets").at(index), resnet)?;
    let attention = attention
        .then(|| {
            SelfAttention2d::new(
                &scope.at("attentions").at(index),
                attention_config(config, outputs),
            )
        })
        .transpose()?;
    Ok(Layer { resnet, attention })
}

/// The block in the middle: residual block, self-attention, residual block.
#[derive(Debug)]
pub(super) struct MidBlock {
    first: ResnetBlock2d,
    attention: Option<SelfAttention2d>,
    last: ResnetBlock2d,
}

impl MidBlock {
    pub(super) fn new(
        scope: &Scope<'_>,
        config: &UNet2dConfig,
        channels: i64,
    ) -> Result<Self, ModelError> {
        use crate::layers::TimeConditioning;
        let output_scale = config.mid_block_scale_factor;
        let resnet = ResnetBlock2dConfig {
            output_scale,
            ..resnet_config(config, channels, channels, Resample::Keep)
        };
        // diffusers leaves the attention of the middle unnormalised under scale and shift, unless told the groups.
        let norm_groups = config.attn_norm_num_groups.or(match config.resnet_time_scale_shift {
            TimeConditioning::Add => Some(config.norm_num_groups),
            TimeConditioning::ScaleShift => None,
        });
        let attention = SelfAttention2dConfig {
            norm_groups,
            output_scale,
            ..attention_config(config, channels)
        };
        Ok(Self {
            first: ResnetBlock2d::new(&scope.at("resnets").at(0), resnet)?,
            attention: config
                .add_attention
                .then(|| SelfAttention2d::new(&scope.at("attentions").at(0), attention))
                .transpose()?,
            last: ResnetBlock2d::new(&scope.at("resnets").at(1), resnet)?,
        })
    }

    pub(super) fn forward(
        &self,
        x: &Tensor,
        time: &Tensor,
        mode: Mode,
    ) -> Result<Tensor, TchError> {
        let mut x = self.first.forward(x, time, mode)?;
        if let Some(attention) = &self.attention {
            x = attention.forward(&x)?;
        }
        self.last.forward(&x, time, mode)
    }
}

/// A block on the way up; each residual block also takes a map kept on the way down.
#[derive(Debug)]
pub(super) struct UpBlock {
    layers: Vec<Layer>,
    upsampler: Option<Resampler>,
}

/// Channels of an [`UpBlock`].
#[derive(Debug, Clone, Copy)]
pub(super) struct UpChannels {
    /// Of the map that comes from below.
    pub(super) from_below: i64,
    /// Of the kept map that the last residual block takes, from one resolution up.
    pub(super) last_skip: i64,
    /// Of the block itself.
    pub(super) outputs: i64,
}

impl UpBlock {
    pub(super) fn new(
        scope: &Scope<'_>,
        config: &UNet2dConfig,
        channels: UpChannels,
        position: Position,
    ) -> Result<Self, ModelError> {
        let UpChannels { from_below, last_skip, outputs } = channels;
        let last = config.layers_per_block;
        let layers = (0..=last)
            .map(|i| {
                let hidden = if i == 0 { from_below } else { outputs };
                let skip = if i == last { last_skip } else { outputs };
                layer(scope, config, i, hidden + skip, outputs, position.attention)
            })
            .collect::<Result<_, _>>()?;
        let place = scope.at("upsamplers").at(0);
        let upsampler = resampler(&place, config, outputs, position, Resample::Double)?;
        Ok(Self { layers, upsampler })
    }

    pub(super) fn forward(
        &self,
        x: &Tensor,
        time: &Tensor,
        skips: &mut Vec<Tensor>,
        mode: Mode,
    ) -> Result<Tensor, TchError> {
        let mut x = x.shallow_clone();
        for layer in &self.layers {
            let skip = skips.pop().expect("the way down kept one map for each block of the way up");
            x = layer.forward(&Tensor::f_cat(&[x, skip], 1)?, time, mode)?;
        }
        match &self.upsampler {
            Some(upsampler) => upsampler.forward(&x, time, mode),
            None => Ok(x),
        }
    }
}
