//! The sizes of libtorch's two thread pools.
//!
//! Another number of intra-op threads splits sums differently and gives other bits, so a run records it.

use crate::{TorchError, ffi};

/// The threads of libtorch's pools.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Threads {
    /// Within one operation.
    pub intra_op: usize,
    /// Between independent operations (used by TorchScript alone).
    pub inter_op: usize,
}

/// The sizes of both pools.
///
/// # Errors
/// Where libtorch fails.
pub fn threads() -> Result<Threads, TorchError> {
    let (mut intra_op, mut inter_op) = (0, 0);
    // SAFETY: writes two ints.
    ffi::check("get_num_threads", unsafe { ffi::dt_threads(&mut intra_op, &mut inter_op) })?;
    let count = |threads: i32| usize::try_from(threads).unwrap_or(0);
    Ok(Threads { intra_op: count(intra_op), inter_op: count(inter_op) })
}

/// Sets the threads that one operation may use.
///
/// # Errors
/// Where `count` is 0 or more than an `i32` holds.
pub fn set_threads(count: usize) -> Result<(), TorchError> {
    let count = positive("threads", count)?;
    // SAFETY: takes a number.
    ffi::check("set_num_threads", unsafe { ffi::dt_set_num_threads(count) })
}

/// Sets the threads between operations; libtorch takes it once, before the pool is first used.
///
/// # Errors
/// Where `count` is 0 or more than an `i32` holds, and at the second call.
pub fn set_interop_threads(count: usize) -> Result<(), TorchError> {
    let count = positive("interop_threads", count)?;
    // SAFETY: takes a number.
    ffi::check("set_num_interop_threads", unsafe { ffi::dt_set_num_interop_threads(count) })
}

fn positive(name: &'static str, count: usize) -> Result<i32, TorchError> {
    i32::try_from(count).ok().filter(|count| *count > 0).ok_or(TorchError::InvalidValue {
        name,
        value: count as f64,
        allowed: "at least 1, at most 2147483647",
    })
}
