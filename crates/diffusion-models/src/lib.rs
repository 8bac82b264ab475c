//! The networks of diffusion models on libtorch, in diffusers' layout on disk: `config.json` and safetensors, with the
//! same names and the same numbers.
//!
//! A network is built by one constructor from its configuration and a [`ParameterBuilder`], which draws fresh parameters
//! or hands out stored ones. [`UNet2d`] is diffusers' `UNet2DModel`. [`NetworkDenoiser`] makes a network the
//! [`Denoiser`](diffusion_math::Denoiser) that a sampler asks.
//!
//! ```
//! use diffusion_math::{Denoiser, DiscreteSchedule, Parameterization};
//! use diffusion_models::{DownBlockType, NetworkDenoiser, ParameterBuilder, Placement, UNet2d, UNet2dConfig, UpBlockType};
//! use diffusion_torch::{DeviceRequest, TensorState, select};
//! use tch::{Kind, Tensor};
//!
//! let device = select(DeviceRequest::Auto)?;
//! let config = UNet2dConfig {
//!     in_channels: 1,
//!     out_channels: 1,
//!     block_out_channels: vec![8, 16],
//!     down_block_types: vec![DownBlockType::DownBlock2D, DownBlockType::AttnDownBlock2D],
//!     up_block_types: vec![UpBlockType::AttnUpBlock2D, UpBlockType::UpBlock2D],
//!     layers_per_block: 1,
//!     norm_num_groups: 4,
//!     ..UNet2dConfig::default() // diffusers'
//! };
//! let unet = UNet2d::new(config, ParameterBuilder::fresh(0, Placement::on(device)))?;
//!
//! // What a sampler asks: x̂₀ behind a noisy sample.
//! let level = DiscreteSchedule::cosine(1000)?.level(500);
//! let x_t = TensorState(Tensor::ones([2, 1, 8, 8], (Kind::Float, device)));
//! let x0_hat = NetworkDenoiser::new(&unet, Parameterization::V).denoise(&x_t, level)?.x0_hat;
//! assert_eq!(x0_hat.0.size(), [2, 1, 8, 8]);
//!
//! // A directory that diffusers' `UNet2DModel.from_pretrained` reads, and that gives the same network again.
//! let folder = tempfile::tempdir()?;
//! unet.save(folder.path())?;
//! let again = UNet2d::load(folder.path(), Placement::on(device))?;
//! let same = NetworkDenoiser::new(&again, Parameterization::V).denoise(&x_t, level)?.x0_hat;
//! assert_eq!(x0_hat.0, same.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config_file;
mod denoiser;
mod error;
pub mod layers;
mod named_io;
mod parameters;
mod unet2d;
mod weights;

pub use config_file::{ConfigFile, DIFFUSERS_VERSION};
pub use denoiser::{ClassGuidance, NetworkDenoiser};
pub use error::ModelError;
pub use named_io::{Network, load_network};
pub use parameters::{
    Init, MemoryFormat, Parameter, ParameterBuilder, Parameters, Placement, Scope,
};
pub use unet2d::{
    ClassEmbedType, DownBlockType, MidBlockType, ResampleType, SampleSize, TimeEmbeddingType,
    UNet2d, UNet2dConfig, UpBlockType,
};
pub use weights::{read_tensors, write_tensors};
