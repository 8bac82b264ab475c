//! A libtorch tensor as what a sampler moves.

use diffusion_math::State;
use tch::{Kind, Tensor};

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

    /// The exponential is taken in f64.
    fn times_exp(&self, factor: f64, exponent: &Self) -> Option<Self> {
        assert_eq!(self.0.size(), exponent.0.size(), "noise and its exponent have one shape");
        Some(Self(tch::no_grad(|| {
            let scale = (exponent.0.to_kind(Kind::Double) * factor).exp();
            &self.0 * scale.to_kind(self.0.kind())
        })))
    }

    fn threshold_dynamically(&self, ratio: f64, largest: f64) -> Option<Self> {
        if self.0.numel() == 0 {
            return Some(Self(self.0.copy()));
        }
        Some(Self(tch::no_grad(|| {
            let q = quantile_of_sizes(&self.0, ratio)
                .clamp(1.0, largest.max(1.0))
                .to_kind(self.0.kind());
            self.0.minimum(&q).maximum(&-&q) / q
        })))
    }
}

/// The `ratio`-quantile of every sample's |x|, linear between order statistics, in f64 and in a shape that broadcasts.
///
/// `torch.quantile` refuses more than 16 million elements, and finds its place in the order in the precision of the data.
fn quantile_of_sizes(x: &Tensor, ratio: f64) -> Tensor {
    let n_samples = x.size().first().copied().unwrap_or(1);
    let sorted = x.abs().to_kind(Kind::Double).reshape([n_samples, -1]).sort(1, false).0;
    let position = ratio.clamp(0.0, 1.0) * (sorted.size()[1] - 1) as f64;
    let below = sorted.select(1, position.floor() as i64);
    let above = sorted.select(1, position.ceil() as i64);
    let mut broadcast = vec![1; x.dim()];
    if let Some(samples) = broadcast.first_mut() {
        *samples = n_samples;
    }
    let quantile: Tensor = &below + (above - &below) * position.fract();
    quantile.reshape(&broadcast)
}

/// The smallest and the largest element are NaN where any is, so they tell in one pass.
fn is_finite(tensor: &Tensor) -> Result<bool, TorchError> {
    let (least, most) = tensor.f_aminmax(None, false)?;
    Ok(least.f_double_value(&[])?.is_finite() && most.f_double_value(&[])?.is_finite())
}
