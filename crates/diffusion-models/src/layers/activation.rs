//! Pointwise nonlinearities, under diffusers' names.

use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

/// A pointwise nonlinearity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// `x·sigmoid(x)` (Hendrycks & Gimpel 2016, arXiv:1606.08415); diffusers also calls it `swish`.
    #[serde(alias = "swish")]
    Silu,
    /// `x·tanh(softplus(x))` (Misra 2019, arXiv:1908.08681).
    Mish,
    /// `x·Φ(x)` with the exact normal distribution function.
    Gelu,
    /// `max(x, 0)`.
    Relu,
}

impl Activation {
    /// Applies it to every element.
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(self, x: &Tensor) -> Result<Tensor, TchError> {
        match self {
            Self::Silu => x.f_silu(),
            Self::Mish => x.f_mish(),
            Self::Gelu => x.f_gelu("none"),
            Self::Relu => x.f_relu(),
        }
    }
}
