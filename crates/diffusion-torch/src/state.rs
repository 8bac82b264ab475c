//! A libtorch tensor as what a sampler moves.

use diffusion_math::State;
use tch::Tensor;

use crate::{TorchError, ffi};

/// A tensor as a [`State`]; dimension 0 is the sample. (A newtype, because neither the trait nor the tensor is ours here.)
#[derive(Debug)]
pub struct TensorState(pub Tensor);

impl From<Tensor> for TensorState {
    fn from(tensor: Tensor) -> Self {
        Self(tensor)
    }
}

impl From<TensorState> for Tensor {
    fn from(state: TensorState) -> Self {
        state.0
    }
}

impl State for TensorState {
    /// On the CPU, where all terms lie alike in memory: one pass, summed in f64 and rounded once. Elsewhere a pass a term.
    ///
    /// No gradients flow through.
    fn linear_combination(terms: &[(f64, &Self)]) -> Self {
        assert!(!terms.is_empty(), "a linear combination has at least one term");
        let coefficients: Vec<f64> = terms.iter().map(|(coefficient, _)| *coefficient).collect();
        let handles: Vec<_> = terms.iter().map(|(_, state)| state.0.as_ptr()).collect();
        // SAFETY: both arrays have `handles.len()` entries, and the handles live during the call; one tensor is written.
        let sum = ffi::tensor("linear_combination", |out| unsafe {
            ffi::dt_linear_combination(handles.as_ptr(), coefficients.as_ptr(), handles.len(), out)
        });
        Self(sum.unwrap_or_else(|error| panic!("{error}")))
    }

    fn is_finite(&self) -> bool {
        tch::no_grad(|| {
            self.0.numel() == 0 || is_finite(&self.0).unwrap_or_else(|error| panic!("{error}"))
        })
    }

    fn clamp(&self, bound: f64) -> Self {
        Self(tch::no_grad(|| self.0.clamp(-bound, bound)))
    }
}

/// The smallest and the largest element are NaN where any is, so they tell in one pass.
fn is_finite(tensor: &Tensor) -> Result<bool, TorchError> {
    let (least, most) = tensor.f_aminmax(None, false)?;
    Ok(least.f_double_value(&[])?.is_finite() && most.f_double_value(&[])?.is_finite())
}
