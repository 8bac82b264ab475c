//! What goes wrong between Rust and libtorch.

use std::path::PathBuf;

use crate::{CudaProblem, DeviceRequest};

/// A failure of libtorch, or a refusal of this crate to hand it what it would take wrongly.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TorchError {
    /// libtorch threw.
    #[error("{operation} failed in libtorch: {message}")]
    Libtorch {
        /// What was asked.
        operation: &'static str,
        /// What libtorch said.
        message: String,
    },
    /// tch reported a failure.
    #[error(transparent)]
    Tch(#[from] tch::TchError),
    /// The loaded libtorch is another version than the one these crates are built for.
    #[error("libtorch {expected} is needed, {} is {}", path.as_deref().map_or("the loaded one".into(), |path| path.display().to_string()), found.as_deref().unwrap_or("of unknown version"))]
    Version {
        /// What tch binds.
        expected: &'static str,
        /// What was loaded, where it tells.
        found: Option<String>,
        /// Where it was loaded from, where the loader tells.
        path: Option<PathBuf>,
    },
    /// A device name that is none.
    #[error("`{given}` is no device; allowed are auto, cpu, cuda, cuda:N")]
    UnknownDevice {
        /// What was given.
        given: String,
    },
    /// A device that is not there.
    #[error("device {requested} is not usable: {problem}")]
    DeviceUnavailable {
        /// What was asked for.
        requested: DeviceRequest,
        /// Why it is not usable.
        problem: CudaProblem,
    },
    /// A device that the operation has no kernel for; nothing falls back in silence.
    #[error("{operation} has no kernel for {device:?}; it runs on CPU and CUDA")]
    UnsupportedDevice {
        /// What was asked.
        operation: &'static str,
        /// Where the tensors are.
        device: tch::Device,
    },
    /// An element type that the operation does not take.
    #[error("{operation} does not take {what}, which is {kind:?}")]
    UnsupportedKind {
        /// What was asked.
        operation: &'static str,
        /// Which tensor.
        what: String,
        /// Its element type.
        kind: tch::Kind,
    },
    /// A parameter without a gradient.
    #[error(
        "parameter {parameter} has no gradient: the loss does not depend on it, or backward was not called"
    )]
    MissingGradient {
        /// Its name.
        parameter: String,
    },
    /// A parameter whose gradient or optimiser state does not lie in memory as it does.
    #[error("parameter {parameter} cannot be updated: {detail}")]
    Layout {
        /// Its name.
        parameter: String,
        /// What differs.
        detail: String,
    },
    /// Two lists that should pair up do not.
    #[error("{operation} takes lists of one length, got {first} and {second}")]
    ListLengths {
        /// What was asked.
        operation: &'static str,
        /// The length of the first list.
        first: usize,
        /// The length of the second list.
        second: usize,
    },
    /// A list without a tensor.
    #[error("{operation} takes at least one tensor")]
    EmptyList {
        /// What was asked.
        operation: &'static str,
    },
    /// A configuration value outside of its domain.
    #[error("{name} = {value} is not allowed: {allowed}")]
    InvalidValue {
        /// The value's name.
        name: &'static str,
        /// The value.
        value: f64,
        /// What is allowed.
        allowed: &'static str,
    },
    /// Two parameters of one name.
    #[error("two parameters are named {name}")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// A saved state that does not fit.
    #[error("the saved state does not fit: {detail}")]
    State {
        /// What is missing, left over or of another shape.
        detail: String,
    },
    /// Host data and the tensor that it is to become differ in size.
    #[error(
        "{given} {unit} do not fill a tensor of shape {shape:?} and kind {kind:?}, which takes {needed}"
    )]
    DataLength {
        /// How many were given.
        given: usize,
        /// How many are needed.
        needed: usize,
        /// Elements or bytes.
        unit: &'static str,
        /// The shape.
        shape: Vec<i64>,
        /// The element type.
        kind: tch::Kind,
    },
    /// A shape that no tensor has: a negative size, or more elements than memory has bytes.
    #[error("no tensor has the shape {shape:?}")]
    InvalidShape {
        /// The shape.
        shape: Vec<i64>,
    },
    /// A byte of a boolean tensor that is neither 0 nor 1.
    #[error("a boolean is 0 or 1, byte {index} is {byte}")]
    InvalidBool {
        /// Where the byte is.
        index: usize,
        /// What it is.
        byte: u8,
    },
    /// A tensor of another element type than the one asked for.
    #[error("a tensor of {got:?} was to be read as {expected:?}")]
    KindMismatch {
        /// What was asked for.
        expected: tch::Kind,
        /// What it is.
        got: tch::Kind,
    },
}
