//! Self-attention over the positions of a feature map.

use tch::{TchError, Tensor};

use super::{GroupNorm, Linear, scaled_sum};
use crate::{ModelError, Scope};

/// What a [`SelfAttention2d`] is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SelfAttention2dConfig {
    /// Channels in and out.
    pub channels: i64,
    /// Channels of one head; must divide `channels`.
    pub head_channels: i64,
    /// Groups of the normalisation in front; none, no normalisation.
    pub norm_groups: Option<i64>,
    /// The normalisation's epsilon.
    pub norm_eps: f64,
    /// The sum with the residual is divided by this.
    pub output_scale: f64,
}

/// `y = (x + W_o·softmax(QKᵀ/√d)V)/output_scale`, each of the `H·W` positions attending to all (Vaswani et al. 2017,
/// arXiv:1706.03762, Eq. 1), behind a group normalisation.
///
/// - `to_q`, `to_k`, `to_v`: `[channels, channels]` with bias.
/// - `to_out.0`: the same, zero at first, so that the layer starts as the identity.
#[derive(Debug)]
pub struct SelfAttention2d {
    group_norm: Option<GroupNorm>,
    to_q: Linear,
    to_k: Linear,
    to_v: Linear,
    to_out: Linear,
    config: SelfAttention2dConfig,
}

impl SelfAttention2d {
    /// The layer at `scope`.
    ///
    /// # Errors
    /// Where `head_channels` does not divide `channels`, or a parameter cannot be allocated.
    pub fn new(scope: &Scope<'_>, config: SelfAttention2dConfig) -> Result<Self, ModelError> {
        let SelfAttention2dConfig { channels, head_channels, norm_groups, norm_eps, .. } = config;
        if head_channels < 1 || channels % head_channels != 0 {
            return Err(ModelError::InvalidConfig {
                key: "attention_head_dim",
                value: head_channels.to_string(),
                allowed: format!("a divisor of the {channels} channels of {}", scope.path()),
            });
        }
        let group_norm = norm_groups
            .map(|groups| GroupNorm::new(&scope.at("group_norm"), groups, channels, norm_eps))
            .transpose()?;
        let projection = |name| Linear::new(&scope.at(name), channels, channels);
        let (to_q, to_k, to_v) = (projection("to_q")?, projection("to_k")?, projection("to_v")?);
        let to_out = Linear::zero(&scope.at("to_out").at(0), channels, channels)?;
        Ok(Self { group_norm, to_q, to_k, to_v, to_out, config })
    }

    /// # Shapes
    /// `[B, channels, H, W] → [B, channels, H, W]`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        let (batch, channels, height, width) = x.size4()?;
        let positions = height * width;
        let normed = match &self.group_norm {
            Some(norm) => norm.forward(x)?,
            None => x.shallow_clone(),
        };
        // In channels-last this permutation moves nothing.
        let tokens = normed.f_permute([0, 2, 3, 1])?.f_reshape([batch, positions, channels])?;
        let heads = |projected: Tensor| {
            projected.f_view([batch, positions, -1, self.config.head_channels])?.f_transpose(1, 2)
        };
        let (q, k, v) = (
            heads(self.to_q.forward(&tokens)?)?,
            heads(self.to_k.forward(&tokens)?)?,
            heads(self.to_v.forward(&tokens)?)?,
        );
        let attended = Tensor::f_scaled_dot_product_attention(
            &q,
            &k,
            &v,
            None::<&Tensor>,
            0.0,
            false,
            None,
            false,
        )?;
        let attended = attended.f_transpose(1, 2)?.f_reshape([batch, positions, channels])?;
        let out = self
            .to_out
            .forward(&attended)?
            .f_view([batch, height, width, channels])?
            .f_permute([0, 3, 1, 2])?;
        scaled_sum(&out, x, self.config.output_scale)
    }
}
