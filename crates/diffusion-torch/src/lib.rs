//! libtorch for diffusion models: what tch does not bind, and the tensor as a sampler's state.
//!
//! The one crate of the workspace with `unsafe` code and C++. It holds
//!
//! - the choice of a device: [`select`], run-time loading of CUDA ([`load_cuda`]), and [`diagnose`] for a doctor;
//! - training: [`AdamW`] (fused, with state that can be saved), [`ema_update`], [`clip_grad_norm`], gradients as lists;
//! - reproducibility: [`RngState`], [`set_deterministic`], [`set_threads`];
//! - data: [`memory_format`], [`host`] copies without detours, [`TensorState`] as a [`diffusion_math::State`].
//!
//! ```
//! use diffusion_torch::{AdamW, AdamWConfig, DeviceRequest, clip_grad_norm, select};
//! use tch::{Kind, Tensor};
//!
//! let device = select(DeviceRequest::Auto)?; // before the first tensor: CUDA is loaded here
//! let weight = Tensor::ones([4, 3], (Kind::Float, device)).set_requires_grad(true);
//! let mut adamw = AdamW::new(vec![("weight".into(), weight.shallow_clone())], AdamWConfig::default())?;
//!
//! let loss = weight.square().sum(Kind::Float);
//! loss.backward();
//! let norm = clip_grad_norm(&[&weight], 1.0)?.expect("the weight has a gradient");
//! adamw.step(1e-3)?;
//! adamw.clear_gradients()?;
//! assert!((norm.double_value(&[]) - 48f64.sqrt()).abs() < 1e-5);
//! # Ok::<(), diffusion_torch::TorchError>(())
//! ```
//!
//! # Linking
//! rustc does not tell a binary where libtorch lies. A package with a binary, a test, a bench or an example depends on
//! this crate directly and has a `build.rs` whose `main` is these two lines:
//! ```text
//! let lib = std::env::var("DEP_DIFFUSION_TORCH_LIBTORCH_LIB").expect("diffusion-torch names libtorch's folder");
//! println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
//! ```
//!
//! # What was run
//! Everything runs in tests on the CPU. What needs CUDA was compiled, and run only up to the point where a machine
//! without a GPU refuses it; each such item says so.
#![allow(unsafe_code)] // the binding: calls of the C++ shim and of dlopen; each block has its SAFETY comment

mod adamw;
mod allocator;
mod cuda;
mod determinism;
mod device;
mod diagnosis;
mod driver;
mod error;
mod ffi;
mod foreach;
mod gradients;
pub mod host;
mod library;
pub mod memory_format;
mod noise;
mod rng;
mod state;
pub mod testing;
mod threads;

pub use adamw::{AdamW, AdamWConfig, ParameterGroup};
pub use allocator::keep_freed_memory;
pub use cuda::{CudaProblem, load_cuda};
pub use determinism::{is_deterministic, set_deterministic};
pub use device::{DeviceRequest, select};
pub use diagnosis::{CudaLibrary, Diagnosis, diagnose};
pub use driver::Driver;
pub use error::TorchError;
pub use foreach::{clip_grad_norm, ema_update, global_norm, scale};
pub use gradients::{clear_gradients, gradient, gradients, set_gradient};
pub use library::{EXPECTED_VERSION, check_version, loaded_path, loaded_version};
pub use rng::{RngState, manual_seed};
pub use state::TensorState;
pub use threads::{Threads, set_interop_threads, set_threads, threads};
