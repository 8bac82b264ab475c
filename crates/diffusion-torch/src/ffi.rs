//! The declarations of `shim/diffusion_torch.cpp`, in its order, and what turns its answers into Rust values.
//!
//! Each function returns null, or a message that [`check`] turns into a [`TorchError`].

use std::borrow::Borrow;
use std::ffi::{CStr, c_char};

use tch::Tensor;
use torch_sys::C_tensor;

use crate::TorchError;

/// A message of the shim, or null.
pub(crate) type Message = *mut c_char;
/// What the shim calls `TensorRef`: a handle; the tensor behind it may be written, as through a C++ `const at::Tensor&`.
pub(crate) type TensorRef = *const C_tensor;

unsafe extern "C" {
    pub(crate) fn dt_free(text: Message);

    pub(crate) fn dt_show_config(text: *mut *mut c_char) -> Message;
    pub(crate) fn dt_cpu_capability(text: *mut *mut c_char) -> Message;
    pub(crate) fn dt_cuda_device_count(linked: *mut bool, count: *mut i32) -> Message;

    pub(crate) fn dt_adamw_check(
        parameters: *const TensorRef,
        exp_avgs: *const TensorRef,
        exp_avg_sqs: *const TensorRef,
        count: usize,
        culprit: *mut usize,
        missing: *mut bool,
    ) -> Message;
    pub(crate) fn dt_fused_adamw(
        parameters: *const TensorRef,
        exp_avgs: *const TensorRef,
        exp_avg_sqs: *const TensorRef,
        count: usize,
        step: TensorRef,
        learning_rate: f64,
        beta1: f64,
        beta2: f64,
        weight_decay: f64,
        epsilon: f64,
    ) -> Message;

    pub(crate) fn dt_foreach_lerp(
        from: *const TensorRef,
        to: *const TensorRef,
        count: usize,
        weight: f64,
    ) -> Message;
    pub(crate) fn dt_foreach_mul(
        tensors: *const TensorRef,
        count: usize,
        factor: TensorRef,
    ) -> Message;
    pub(crate) fn dt_global_norm(
        tensors: *const TensorRef,
        count: usize,
        norm: *mut *mut C_tensor,
    ) -> Message;
    pub(crate) fn dt_clip_grad_norm(
        parameters: *const TensorRef,
        count: usize,
        max_norm: f64,
        norm: *mut *mut C_tensor,
    ) -> Message;

    pub(crate) fn dt_gradient(parameter: TensorRef, gradient: *mut *mut C_tensor) -> Message;
    pub(crate) fn dt_set_gradient(parameter: TensorRef, gradient: TensorRef) -> Message;

    pub(crate) fn dt_rng_state(device: i32, state: *mut *mut C_tensor) -> Message;
    pub(crate) fn dt_set_rng_state(device: i32, state: TensorRef) -> Message;
    pub(crate) fn dt_manual_seed(device: i32, seed: u64) -> Message;

    pub(crate) fn dt_to_channels_last(tensor: TensorRef, out: *mut *mut C_tensor) -> Message;
    pub(crate) fn dt_is_channels_last(tensor: TensorRef, answer: *mut bool) -> Message;

    pub(crate) fn dt_linear_combination(
        tensors: *const TensorRef,
        coefficients: *const f64,
        count: usize,
        out: *mut *mut C_tensor,
    ) -> Message;

    pub(crate) fn dt_set_num_threads(count: i32) -> Message;
    pub(crate) fn dt_set_num_interop_threads(count: i32) -> Message;
    pub(crate) fn dt_threads(intra_op: *mut i32, inter_op: *mut i32) -> Message;
    pub(crate) fn dt_set_deterministic(deterministic: bool) -> Message;
    pub(crate) fn dt_is_deterministic(answer: *mut bool) -> Message;
}

/// Copies a string of the shim and gives it back.
///
/// # Safety
/// `text` is a NUL-terminated string that the shim handed out and that nothing has freed.
unsafe fn take_text(text: *mut c_char) -> String {
    // SAFETY: NUL-terminated, by the contract of this function.
    let copy = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: handed out by the shim and not freed yet, by the contract of this function.
    unsafe { dt_free(text) };
    copy
}

/// The text of a failed call; `None` where it succeeded.
pub(crate) fn failure(message: Message) -> Option<String> {
    if message.is_null() {
        return None;
    }
    // SAFETY: a message that is not null is a string that the shim handed out just now.
    Some(unsafe { take_text(message) }.trim_end().to_owned())
}

/// `Ok` where the call returned no message.
pub(crate) fn check(operation: &'static str, message: Message) -> Result<(), TorchError> {
    match failure(message) {
        None => Ok(()),
        Some(message) => Err(TorchError::Libtorch { operation, message }),
    }
}

/// Runs a call that writes one string.
pub(crate) fn text(
    operation: &'static str,
    call: unsafe extern "C" fn(*mut *mut c_char) -> Message,
) -> Result<String, TorchError> {
    let mut out = std::ptr::null_mut();
    // SAFETY: the call writes one pointer to `out` and nothing else.
    check(operation, unsafe { call(&mut out) })?;
    // SAFETY: the call succeeded, so `out` is a string that the shim handed out just now.
    Ok(unsafe { take_text(out) })
}

/// Runs a call that writes one tensor; `None` where it wrote null.
pub(crate) fn optional_tensor(
    operation: &'static str,
    call: impl FnOnce(*mut *mut C_tensor) -> Message,
) -> Result<Option<Tensor>, TorchError> {
    let mut out = std::ptr::null_mut();
    check(operation, call(&mut out))?;
    // SAFETY: a pointer that is not null is a fresh `at::Tensor` of the shim, which tch owns and deletes from here on.
    Ok((!out.is_null()).then(|| unsafe { Tensor::from_ptr(out) }))
}

/// Runs a call that writes one tensor and never null.
pub(crate) fn tensor(
    operation: &'static str,
    call: impl FnOnce(*mut *mut C_tensor) -> Message,
) -> Result<Tensor, TorchError> {
    let found = optional_tensor(operation, call)?;
    Ok(found.expect("the shim writes a tensor wherever it reports no failure"))
}

/// The handles of a list; they live as long as the list.
pub(crate) fn handles(tensors: &[impl Borrow<Tensor>]) -> Vec<TensorRef> {
    tensors.iter().map(|tensor| tensor.borrow().as_ptr()).collect()
}
