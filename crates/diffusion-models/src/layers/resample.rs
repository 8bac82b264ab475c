//! Halving and doubling of a feature map.

use tch::{TchError, Tensor};

use super::Conv2d;
use crate::{ModelError, Scope};

/// A 3×3 convolution of stride 2.
///
/// With padding 0, diffusers pads one row below and one column to the right only, as Ho et al.'s code did.
#[derive(Debug)]
pub struct Downsample2d {
    conv: Conv2d,
    padding: i64,
}

impl Downsample2d {
    /// Keeps the channels; `padding` is 0 or 1.
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn new(scope: &Scope<'_>, channels: i64, padding: i64) -> Result<Self, ModelError> {
        Ok(Self { conv: Conv2d::halving(&scope.at("conv"), channels, channels, padding)?, padding })
    }

    /// # Shapes
    /// `[B, C, H, W] → [B, C, H/2, W/2]`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        match self.padding {
            0 => self.conv.forward(&x.f_constant_pad_nd([0, 1, 0, 1])?),
            _ => self.conv.forward(x),
        }
    }
}

/// Nearest-neighbour doubling, then a 3×3 convolution.
#[derive(Debug)]
pub struct Upsample2d {
    conv: Conv2d,
}

impl Upsample2d {
    /// Keeps the channels.
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn new(scope: &Scope<'_>, channels: i64) -> Result<Self, ModelError> {
        Ok(Self { conv: Conv2d::same(&scope.at("conv"), channels, channels, 3)? })
    }

    /// # Shapes
    /// `[B, C, H, W] → [B, C, 2H, 2W]`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        self.conv.forward(&double(x)?)
    }
}

/// Nearest-neighbour doubling, without parameters.
pub(crate) fn double(x: &Tensor) -> Result<Tensor, TchError> {
    let (_, _, height, width) = x.size4()?;
    x.f_upsample_nearest2d([2 * height, 2 * width], 2.0, 2.0)
}

/// The mean of each 2×2 square, without parameters.
pub(crate) fn halve(x: &Tensor) -> Result<Tensor, TchError> {
    x.f_avg_pool2d([2, 2], [2, 2], [0, 0], false, true, None)
}
