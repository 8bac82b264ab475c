//! libtorch's deterministic mode.

use crate::{TorchError, ffi};

/// Makes libtorch choose deterministic algorithms, or refuse where it has none.
///
/// On the CPU the same bits come out either way for the networks of this workspace, at a fixed number of threads. On CUDA,
/// cuBLAS also needs `CUBLAS_WORKSPACE_CONFIG=:4096:8` in the environment before its first use (not run here: no GPU).
///
/// # Errors
/// Where libtorch fails.
pub fn set_deterministic(deterministic: bool) -> Result<(), TorchError> {
    // SAFETY: takes a bool.
    ffi::check("set_deterministic", unsafe { ffi::dt_set_deterministic(deterministic) })
}

/// Whether the deterministic mode is on.
///
/// # Errors
/// Where libtorch fails.
pub fn is_deterministic() -> Result<bool, TorchError> {
    let mut answer = false;
    // SAFETY: writes one bool.
    ffi::check("is_deterministic", unsafe { ffi::dt_is_deterministic(&mut answer) })?;
    Ok(answer)
}
