//! The two-dimensional convolution.

use tch::{TchError, Tensor};

use crate::{Init, ModelError, Scope};

/// Cross-correlation with a square kernel, plus a bias.
///
/// - `weight`: `[outputs, inputs, kernel, kernel]`, `U(−b, b)` with `b = 1/√(inputs·kernel²)`.
/// - `bias`: `[outputs]`, the same.
#[derive(Debug)]
pub struct Conv2d {
    weight: Tensor,
    bias: Tensor,
    stride: i64,
    padding: i64,
}

impl Conv2d {
    /// A convolution that keeps height and width: stride 1, padding `kernel/2` (odd kernels).
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn same(
        scope: &Scope<'_>,
        inputs: i64,
        outputs: i64,
        kernel: i64,
    ) -> Result<Self, ModelError> {
        Self::with_init(scope, inputs, outputs, kernel, Init::fan_in(inputs * kernel * kernel))
    }

    /// As [`same`](Self::same), with zero output until training moves it.
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn same_zero(
        scope: &Scope<'_>,
        inputs: i64,
        outputs: i64,
        kernel: i64,
    ) -> Result<Self, ModelError> {
        Self::with_init(scope, inputs, outputs, kernel, Init::Constant(0.0))
    }

    /// A 3×3 convolution that halves height and width, with `padding` on every side.
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn halving(
        scope: &Scope<'_>,
        inputs: i64,
        outputs: i64,
        padding: i64,
    ) -> Result<Self, ModelError> {
        let convolution = Self::same(scope, inputs, outputs, 3)?;
        Ok(Self { stride: 2, padding, ..convolution })
    }

    fn with_init(
        scope: &Scope<'_>,
        inputs: i64,
        outputs: i64,
        kernel: i64,
        init: Init,
    ) -> Result<Self, ModelError> {
        let weight = scope.parameter("weight", &[outputs, inputs, kernel, kernel], init)?;
        let bias = scope.parameter("bias", &[outputs], init)?;
        Ok(Self { weight, bias, stride: 1, padding: kernel >> 1 })
    }

    /// # Shapes
    /// `[B, inputs, H, W] → [B, outputs, H', W']`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor, TchError> {
        x.f_conv2d(&self.weight, Some(&self.bias), self.stride, self.padding, 1, 1)
    }
}
