//! One libtorch call over a whole list of tensors: the average of weights, the norm of all gradients.

use std::borrow::Borrow;

use tch::Tensor;

use crate::{TorchError, ffi};

/// Exponential moving average of weights: `aᵢ ← decay·aᵢ + (1 − decay)·pᵢ`, for all `i` at once.
///
/// Computed as `aᵢ + (1 − decay)·(pᵢ − aᵢ)` (`torch._foreach_lerp_`), without gradient tracking.
///
/// # Errors
/// Where the lists or the shapes differ, or `decay` is outside of `[0, 1]`.
pub fn ema_update(
    averages: &mut [Tensor],
    parameters: &[impl Borrow<Tensor>],
    decay: f64,
) -> Result<(), TorchError> {
    const OPERATION: &str = "ema_update";
    if averages.len() != parameters.len() {
        return Err(TorchError::ListLengths {
            operation: OPERATION,
            first: averages.len(),
            second: parameters.len(),
        });
    }
    if !(0.0..=1.0).contains(&decay) {
        return Err(TorchError::InvalidValue {
            name: "decay",
            value: decay,
            allowed: "from 0 to 1",
        });
    }
    if averages.is_empty() {
        return Ok(());
    }
    let (from, to) = (ffi::handles(averages), ffi::handles(parameters));
    // SAFETY: both arrays hold `from.len()` handles, which live during the call; libtorch checks the shapes.
    ffi::check(OPERATION, unsafe {
        ffi::dt_foreach_lerp(from.as_ptr(), to.as_ptr(), from.len(), 1.0 - decay)
    })
}

/// `√(Σᵢ ‖xᵢ‖²)`, the 2-norm of all tensors as one vector; a tensor of one element on their device, so without a wait.
///
/// # Errors
/// Where the list is empty, or the tensors lie on several devices.
pub fn global_norm(tensors: &[impl Borrow<Tensor>]) -> Result<Tensor, TorchError> {
    const OPERATION: &str = "global_norm";
    if tensors.is_empty() {
        return Err(TorchError::EmptyList { operation: OPERATION });
    }
    let handles = ffi::handles(tensors);
    // SAFETY: the array holds `handles.len()` handles, which live during the call; one tensor is written.
    ffi::tensor(OPERATION, |out| unsafe {
        ffi::dt_global_norm(handles.as_ptr(), handles.len(), out)
    })
}

/// Multiplies every tensor, in place, by a tensor of one element.
///
/// # Errors
/// Where `factor` has more than one element, or lies on another device.
pub fn scale(tensors: &mut [Tensor], factor: &Tensor) -> Result<(), TorchError> {
    if tensors.is_empty() {
        return Ok(());
    }
    let handles = ffi::handles(tensors);
    // SAFETY: the array holds `handles.len()` handles, which live during the call, as `factor` does.
    ffi::check("scale", unsafe {
        ffi::dt_foreach_mul(handles.as_ptr(), handles.len(), factor.as_ptr())
    })
}

/// Scales all gradients by `min(1, max_norm / (norm + 1e-6))`, as `torch.nn.utils.clip_grad_norm_` does.
///
/// Returns the norm before clipping, as a tensor of one element on the device: nothing waits for the device. Parameters
/// without a gradient are left out; `None` where none has one. A norm that is not finite makes every gradient NaN
/// (infinite) or leaves NaN in them, as in PyTorch: look at the returned norm where that matters.
///
/// # Errors
/// Where `max_norm` is not positive, or the gradients lie on several devices.
pub fn clip_grad_norm(
    parameters: &[impl Borrow<Tensor>],
    max_norm: f64,
) -> Result<Option<Tensor>, TorchError> {
    if max_norm.is_nan() || max_norm <= 0.0 {
        return Err(TorchError::InvalidValue {
            name: "max_norm",
            value: max_norm,
            allowed: "more than 0",
        });
    }
    let handles = ffi::handles(parameters);
    // SAFETY: the array holds `handles.len()` handles, which live during the call; one tensor or null is written.
    ffi::optional_tensor("clip_grad_norm", |out| unsafe {
        ffi::dt_clip_grad_norm(handles.as_ptr(), handles.len(), max_norm, out)
    })
}
