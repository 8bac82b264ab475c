//! The networks of diffusion models on libtorch, in diffusers' layout on disk: `config.json` and safetensors, with the
//! same names and the same numbers.
//!
//! A network is built by one constructor from its configuration and a [`ParameterBuilder`], which draws fresh parameters
//! or hands out stored ones. [`UNet2d`] is diffusers' `UNet2DModel`. [`NetworkDenoiser`] makes a network the
//! [`Denoiser`](diffusion_math::Denoiser) that a sampler asks.

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
