//! The gradients of parameters, as lists.

use std::borrow::Borrow;

use tch::Tensor;

use crate::{TorchError, ffi};

/// The gradient of a parameter, `None` where there is none.
///
/// # Errors
/// Where libtorch fails.
pub fn gradient(parameter: &Tensor) -> Result<Option<Tensor>, TorchError> {
    // SAFETY: the handle lives during the call, which writes one tensor or null.
    ffi::optional_tensor("grad", |out| unsafe { ffi::dt_gradient(parameter.as_ptr(), out) })
}

/// The gradients of a list of parameters, in its order, `None` where there is none.
///
/// # Errors
/// Where libtorch fails.
pub fn gradients(parameters: &[impl Borrow<Tensor>]) -> Result<Vec<Option<Tensor>>, TorchError> {
    parameters.iter().map(|parameter| gradient(parameter.borrow())).collect()
}

/// Replaces the gradient of a parameter; `None` clears it.
///
/// # Errors
/// Where libtorch fails.
pub fn set_gradient(parameter: &Tensor, gradient: Option<&Tensor>) -> Result<(), TorchError> {
    let gradient = gradient.map_or(std::ptr::null(), Tensor::as_ptr);
    // SAFETY: both handles live during the call; the shim takes null for none.
    ffi::check("set_grad", unsafe { ffi::dt_set_gradient(parameter.as_ptr(), gradient) })
}

/// Drops the gradients, as `zero_grad(set_to_none=True)` does in PyTorch: the next backward pass writes instead of adding.
///
/// # Errors
/// Where libtorch fails.
pub fn clear_gradients(parameters: &[impl Borrow<Tensor>]) -> Result<(), TorchError> {
    parameters.iter().try_for_each(|parameter| set_gradient(parameter.borrow(), None))
}
