//! The unconditional or class-conditional UNet on pixels: diffusers' `UNet2DModel`.
//!
//! Ho et al. 2020 (arXiv:2006.11239, App. B) and Dhariwal & Nichol 2021 (arXiv:2105.05233), as diffusers 0.42.1
//! arranges and names it.

mod block;
mod config;

use std::path::Path;

use tch::{Kind, Tensor};

pub use config::{
    ClassEmbedType, DownBlockType, MidBlockType, ResampleType, SampleSize, TimeEmbeddingType,
    UNet2dConfig, UpBlockType,
};

use block::{DownBlock, MidBlock, Position, UpBlock, UpChannels};

use crate::config_file::write_config;
use crate::layers::{
    Activation, Conv2d, Embedding, FourierTime, GroupNorm, Mode, SinusoidalTime, TimeMlp,
};
use crate::weights::{read_weights, write_weights};
use crate::{ConfigFile, ModelError, ParameterBuilder, Parameters, Placement};

/// How the time becomes features.
#[derive(Debug)]
enum TimeFeatures {
    Sinusoidal(SinusoidalTime),
    Fourier(FourierTime),
    Learned(Embedding),
}

/// How a class label becomes a vector.
#[derive(Debug)]
enum ClassEmbedding {
    Table(Embedding),
    AsTime(TimeMlp),
    Identity,
}

/// A `UNet2DModel`.
///
/// ```no_run
/// use diffusion_models::{Placement, UNet2d};
/// use tch::{Device, Kind, Tensor};
/// let unet = UNet2d::load("path/to/unet".as_ref(), Placement::on(Device::Cpu))?;
/// let x_t = Tensor::randn([2, 3, 32, 32], (Kind::Float, Device::Cpu));
/// let time = Tensor::from_slice(&[999f32, 10.0]);
/// let eps_hat = unet.forward(&x_t, &time, None)?;
/// assert_eq!(eps_hat.size(), x_t.size());
/// # Ok::<(), diffusion_models::ModelError>(())
/// ```
#[derive(Debug)]
pub struct UNet2d {
    config: UNet2dConfig,
    parameters: Parameters,
    conv_in: Conv2d,
    time_features: TimeFeatures,
    time_embedding: TimeMlp,
    class_embedding: Option<ClassEmbedding>,
    down_blocks: Vec<DownBlock>,
    mid_block: Option<MidBlock>,
    up_blocks: Vec<UpBlock>,
    conv_norm_out: GroupNorm,
    conv_out: Conv2d,
}

impl UNet2d {
    /// diffusers' name of the class.
    pub const CLASS_NAME: &'static str = "UNet2DModel";

    /// Builds the network with the parameters of `builder`: fresh or stored.
    ///
    /// # Errors
    /// Where the configuration is impossible or the stored tensors do not fit.
    pub fn new(config: UNet2dConfig, builder: ParameterBuilder) -> Result<Self, ModelError> {
        config.validate()?;
        let scope = builder.root();
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let width = config.time_features();

        let conv_in = Conv2d::same(&scope.at("conv_in"), config.in_channels, first, 3)?;
        let (time_features, feature_count) = match config.time_embedding_type {
            TimeEmbeddingType::Positional => {
                let sinusoidal = SinusoidalTime {
                    features: first,
                    cosines_first: config.flip_sin_to_cos,
                    frequency_shift: config.freq_shift,
                };
                (TimeFeatures::Sinusoidal(sinusoidal), first)
            }
            TimeEmbeddingType::Fourier => {
                (TimeFeatures::Fourier(FourierTime::new(&scope.at("time_proj"), first)?), 2 * first)
            }
            TimeEmbeddingType::Learned => {
                let rows = config.num_train_timesteps.expect("validated with the configuration");
                (TimeFeatures::Learned(Embedding::new(&scope.at("time_proj"), rows, first)?), first)
            }
        };
        let time_embedding = TimeMlp::new(&scope.at("time_embedding"), feature_count, width)?;
        let class_scope = scope.at("class_embedding");
        let class_embedding = match (config.class_embed_type, config.num_class_embeds) {
            (None, Some(rows)) => {
                Some(ClassEmbedding::Table(Embedding::new(&class_scope, rows, width)?))
            }
            (Some(ClassEmbedType::Timestep), _) => {
                Some(ClassEmbedding::AsTime(TimeMlp::new(&class_scope, feature_count, width)?))
            }
            (Some(ClassEmbedType::Identity), _) => Some(ClassEmbedding::Identity),
            (None, None) => None,
        };

        let levels = channels.len();
        let down_blocks = (0..levels)
            .map(|i| {
                let attention = config.down_block_types[i] == DownBlockType::AttnDownBlock2D;
                let position = Position { attention, is_last: i + 1 == levels };
                let inputs = channels[i.saturating_sub(1)];
                DownBlock::new(
                    &scope.at("down_blocks").at(i),
                    &config,
                    inputs,
                    channels[i],
                    position,
                )
            })
            .collect::<Result<_, _>>()?;
        let mid_block = config
            .mid_block_type
            .map(|_| MidBlock::new(&scope.at("mid_block"), &config, last))
            .transpose()?;
        let up_blocks = (0..levels)
            .map(|i| {
                let attention = config.up_block_types[i] == UpBlockType::AttnUpBlock2D;
                let position = Position { attention, is_last: i + 1 == levels };
                // Level `levels − 1 − i`, from the bottom up.
                let level = levels - 1 - i;
                let channels = UpChannels {
                    from_below: channels[(level + 1).min(levels - 1)],
                    last_skip: channels[level.saturating_sub(1)],
                    outputs: channels[level],
                };
                UpBlock::new(&scope.at("up_blocks").at(i), &config, channels, position)
            })
            .collect::<Result<_, _>>()?;
        let conv_norm_out = GroupNorm::new(
            &scope.at("conv_norm_out"),
            config.norm_num_groups,
            first,
            config.norm_eps,
        )?;
        let conv_out = Conv2d::same_zero(&scope.at("conv_out"), first, config.out_channels, 3)?;
        drop((scope, class_scope));
        let parameters = builder.finish()?;
        Ok(Self {
            config,
            parameters,
            conv_in,
            time_features,
            time_embedding,
            class_embedding,
            down_blocks,
            mid_block,
            up_blocks,
            conv_norm_out,
            conv_out,
        })
    }

    /// Reads a model directory as diffusers writes it: `config.json` and safetensors.
    ///
    /// # Errors
    /// Where a file is absent or damaged, the class is another, or the tensors do not fit.
    pub fn load(directory: &Path, placement: Placement) -> Result<Self, ModelError> {
        let file = ConfigFile::read(directory)?;
        if file.class_name() != Self::CLASS_NAME {
            let reason = format!(
                "_class_name = \"{}\": expected \"{}\"",
                file.class_name(),
                Self::CLASS_NAME
            );
            return Err(ModelError::Config { path: file.path().to_owned(), reason });
        }
        let config: UNet2dConfig = file.parse()?;
        let tensors = read_weights(directory)?
            .into_iter()
            .map(|(name, t)| (current_name(&name), t))
            .collect();
        Self::new(config, ParameterBuilder::stored(tensors, placement))
    }

    /// Writes a model directory as diffusers does.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn save(&self, directory: &Path) -> Result<(), ModelError> {
        std::fs::create_dir_all(directory).map_err(|e| ModelError::io("create", directory, e))?;
        write_config(directory, Self::CLASS_NAME, &self.config)?;
        write_weights(directory, &self.parameters)
    }

    /// The configuration.
    pub fn config(&self) -> &UNet2dConfig {
        &self.config
    }

    /// The parameters by name.
    pub fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    /// Runs the network as it is used for sampling: without dropout.
    ///
    /// # Shapes
    /// `x`: `[B, in_channels, H, W]`, H and W multiples of [`UNet2dConfig::size_multiple`]; `time`: `[B]`, the time as
    /// trained (an index, possibly fractional); `class_labels`: `[B]` whole numbers → `[B, out_channels, H, W]`.
    ///
    /// # Errors
    /// Where an input does not have its shape, a class label is missing or not wanted, or libtorch fails.
    pub fn forward(
        &self,
        x: &Tensor,
        time: &Tensor,
        class_labels: Option<&Tensor>,
    ) -> Result<Tensor, ModelError> {
        self.run(x, time, class_labels, Mode::Inference)
    }

    /// Runs the network as it is trained: with dropout, where the configuration has it.
    ///
    /// # Errors
    /// As [`forward`](Self::forward).
    pub fn forward_training(
        &self,
        x: &Tensor,
        time: &Tensor,
        class_labels: Option<&Tensor>,
    ) -> Result<Tensor, ModelError> {
        self.run(x, time, class_labels, Mode::Training)
    }

    fn run(
        &self,
        x: &Tensor,
        time: &Tensor,
        class_labels: Option<&Tensor>,
        mode: Mode,
    ) -> Result<Tensor, ModelError> {
        self.check_shapes(x, time, class_labels)?;
        if mode == Mode::Inference {
            // While training the data's reader has checked them, and asking a GPU would wait for it at every step.
            self.check_labels(class_labels)?;
        }
        let kind = x.kind();
        let mut x = x.shallow_clone();
        if self.config.center_input_sample {
            x = x.f_mul_scalar(2.0)?.f_sub_scalar(1.0)?;
        }
        let mut embedding =
            self.time_embedding.forward(&self.features_of(time)?.f_to_kind(kind)?)?;
        if let (Some(class_embedding), Some(labels)) = (&self.class_embedding, class_labels) {
            let class = match class_embedding {
                ClassEmbedding::Table(table) => table.forward(labels)?,
                ClassEmbedding::AsTime(mlp) => {
                    mlp.forward(&self.features_of(labels)?.f_to_kind(kind)?)?
                }
                ClassEmbedding::Identity => labels.f_to_kind(kind)?,
            };
            embedding = embedding.f_add(&class)?;
        }
        let active_time = self.config.act_fn.forward(&embedding)?;

        x = self.conv_in.forward(&x)?;
        let mut skips = vec![x.shallow_clone()];
        for block in &self.down_blocks {
            x = block.forward(&x, &active_time, &mut skips, mode)?;
        }
        if let Some(block) = &self.mid_block {
            x = block.forward(&x, &active_time, mode)?;
        }
        for block in &self.up_blocks {
            x = block.forward(&x, &active_time, &mut skips, mode)?;
        }
        let x =
            self.conv_out.forward(&Activation::Silu.forward(&self.conv_norm_out.forward(&x)?)?)?;
        match self.config.time_embedding_type {
            TimeEmbeddingType::Fourier => {
                Ok(x.f_div(&time.f_to_kind(kind)?.f_view([-1, 1, 1, 1])?)?)
            }
            _ => Ok(x),
        }
    }

    fn features_of(&self, time: &Tensor) -> Result<Tensor, ModelError> {
        Ok(match &self.time_features {
            TimeFeatures::Sinusoidal(features) => features.forward(time)?,
            TimeFeatures::Fourier(features) => features.forward(time)?,
            TimeFeatures::Learned(table) => table.forward(&time.f_to_kind(Kind::Int64)?)?,
        })
    }

    fn check_shapes(
        &self,
        x: &Tensor,
        time: &Tensor,
        class_labels: Option<&Tensor>,
    ) -> Result<(), ModelError> {
        let refuse =
            |name, expected: String, got: String| Err(ModelError::Input { name, expected, got });
        let (channels, multiple) = (self.config.in_channels, self.config.size_multiple());
        let size = x.size();
        let fits = size.len() == 4
            && size[1] == channels
            && size[2..].iter().all(|n| *n > 0 && n % multiple == 0);
        if !fits {
            let expected =
                format!("[batch, {channels}, height, width], both multiples of {multiple}");
            return refuse("sample", expected, format!("{size:?}"));
        }
        if time.size() != [size[0]] {
            return refuse("timestep", format!("[{}]", size[0]), format!("{:?}", time.size()));
        }
        let expected = match &self.class_embedding {
            Some(ClassEmbedding::Table(_) | ClassEmbedding::AsTime(_)) => Some(vec![size[0]]),
            Some(ClassEmbedding::Identity) => Some(vec![size[0], self.config.time_features()]),
            None => None,
        };
        let got = class_labels.map(Tensor::size);
        if got != expected {
            let shape = |s: Option<Vec<i64>>| s.map_or("none".to_owned(), |s| format!("{s:?}"));
            return refuse("class_labels", shape(expected), shape(got));
        }
        Ok(())
    }

    fn check_labels(&self, class_labels: Option<&Tensor>) -> Result<(), ModelError> {
        let (Some(ClassEmbedding::Table(table)), Some(labels)) =
            (&self.class_embedding, class_labels)
        else {
            return Ok(());
        };
        if labels.numel() == 0 {
            return Ok(());
        }
        let (low, high) =
            (labels.f_min()?.f_int64_value(&[])?, labels.f_max()?.f_int64_value(&[])?);
        let last = table.rows() - 1;
        if low < 0 || high > last {
            let (expected, got) = (format!("0 to {last}"), format!("{low} to {high}"));
            return Err(ModelError::Input { name: "class_labels", expected, got });
        }
        Ok(())
    }
}

/// The present name of a tensor: diffusers before 0.15 called attention's projections `query`, `key`, `value` and
/// `proj_attn`, and such files are still about.
fn current_name(name: &str) -> String {
    let renamed = [
        (".query.", ".to_q."),
        (".key.", ".to_k."),
        (".value.", ".to_v."),
        (".proj_attn.", ".to_out.0."),
    ];
    if !name.contains("attentions.") {
        return name.to_owned();
    }
    renamed.iter().fold(name.to_owned(), |name, (old, new)| name.replace(old, new))
}
