//! The layers that the networks are made of, each with its parameters' names as diffusers has them.

mod activation;
mod attention;
mod conv2d;
mod embedding;
mod group_norm;
mod linear;
mod resample;
mod resnet_block;
mod time_embedding;

pub use activation::Activation;
pub use attention::{SelfAttention2d, SelfAttention2dConfig};
pub use conv2d::Conv2d;
pub use embedding::Embedding;
pub use group_norm::GroupNorm;
pub use linear::Linear;
pub use resample::{Downsample2d, Upsample2d};
pub use resnet_block::{Mode, Resample, ResnetBlock2d, ResnetBlock2dConfig, TimeConditioning};
pub use time_embedding::{FourierTime, SinusoidalTime, TimeMlp};
