//! The affine layer.

use tch::{TchError, Tensor};

use crate::{Init, ModelError, Scope};

/// `y = x·Wᵀ + b`.
///
/// - `weight`: `[outputs, inputs]`, `U(−1/√inputs, 1/√inputs)`.
/// - `bias`: `[outputs]`, the same.
#[derive(Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// A layer with the default initial distribution.
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn new(scope: &Scope<'_>, inputs: i64, outputs: i64) -> Result<Self, ModelError> {
        Self::with_init(scope, inputs, outputs, Init::fan_in(inputs))
    }

    /// A layer whose output is zero until training moves it: a residual branch that starts as the identity.
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn zero(scope: &Scope<'_>, inputs: i64, outputs: i64) -> Result<Self, ModelError> {
        Self::with_init(scope, inputs, outputs, Init::Constant(0.0))
    }

    fn with_init(
        scope: &Scope<'_>,
        inputs: i64,
        outputs: i64,
        init: Init,
    ) -> Result<Self, ModelError> {
        let weight = scope.parameter("weight", &[outputs, inputs], init)?;
        let bias = scope.parameter("bias", &[outputs], init)?;
        Ok(Self { weight, bias })
    }

    /// # Shapes
    /// `[…, inputs] → […, outputs]`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_linear(&self.weight, Some(&self.bias))
    }
}
