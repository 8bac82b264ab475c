//! Group normalisation.

use tch::{TchError, Tensor};

use crate::{Init, ModelError, Scope};

/// `y = (x − mean)/√(var + eps)·weight + bias`, mean and variance over a group of channels and all positions
/// (Wu & He 2018, arXiv:1803.08494).
///
/// - `weight`: `[channels]`, 1.
/// - `bias`: `[channels]`, 0.
#[derive(Debug)]
pub struct GroupNorm {
    weight: Tensor,
    bias: Tensor,
    groups: i64,
    eps: f64,
}

impl GroupNorm {
    /// A normalisation over `groups` groups, which must divide `channels`.
    ///
    /// # Errors
    /// Where it does not divide, or a parameter cannot be allocated.
    pub fn new(
        scope: &Scope<'_>,
        groups: i64,
        channels: i64,
        eps: f64,
    ) -> Result<Self, ModelError> {
        if groups < 1 || channels % groups != 0 {
            return Err(ModelError::InvalidConfig {
                key: "norm_num_groups",
                value: groups.to_string(),
                allowed: format!("a divisor of the {channels} channels of {}", scope.path()),
            });
        }
        let weight = scope.parameter("weight", &[channels], Init::Constant(1.0))?;
        let bias = scope.parameter("bias", &[channels], Init::Constant(0.0))?;
        Ok(Self { weight, bias, groups, eps })
    }

    /// # Shapes
    /// `[B, channels, …] → [B, channels, …]`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_group_norm(self.groups, Some(&self.weight), Some(&self.bias), self.eps, true)
    }
}
