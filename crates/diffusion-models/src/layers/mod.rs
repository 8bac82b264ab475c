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

use tch::{TchError, Tensor};

pub use activation::Activation;
pub use attention::{SelfAttention2d, SelfAttention2dConfig};
pub use conv2d::Conv2d;
pub use embedding::Embedding;
pub use group_norm::GroupNorm;
pub use linear::Linear;
pub use resample::{Downsample2d, Upsample2d};
pub use resnet_block::{Mode, Resample, ResnetBlock2d, ResnetBlock2dConfig, TimeConditioning};
pub use time_embedding::{FourierTime, SinusoidalTime, TimeMlp};

/// The sum of a branch and its shortcut, divided by `scale`.
fn scaled_sum(branch: &Tensor, shortcut: &Tensor, scale: f64) -> Result<Tensor, TchError> {
    let sum = branch.f_add(shortcut)?;
    #[expect(clippy::float_cmp, reason = "exactly 1, the default, saves a pass over memory")]
    let unscaled = scale == 1.0;
    if unscaled { Ok(sum) } else { sum.f_div_scalar(scale) }
}
