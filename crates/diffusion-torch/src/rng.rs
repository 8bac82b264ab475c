//! The state of libtorch's own generators, so that a checkpoint can hold it.
//!
//! Noise and data order of this workspace are keyed and need none of this; dropout inside a network does.

use tch::{Device, Tensor};

use crate::cuda::loaded_devices;
use crate::{TorchError, ffi, host};

/// The states of libtorch's default generators, as bytes.
///
/// ```
/// use diffusion_torch::RngState;
/// use tch::{Device, Kind, Tensor};
/// let before = RngState::capture()?;
/// let first = Tensor::rand([3], (Kind::Float, Device::Cpu));
/// before.restore()?;
/// assert_eq!(first, Tensor::rand([3], (Kind::Float, Device::Cpu)));
/// # Ok::<(), diffusion_torch::TorchError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RngState {
    /// The CPU's Mersenne Twister, with its cached normal number.
    pub cpu: Vec<u8>,
    /// Seed and offset of each CUDA device's Philox (compiled, not run here: no GPU).
    pub cuda: Vec<Vec<u8>>,
}

impl RngState {
    /// Reads the state of the CPU's generator and, where CUDA was loaded (see [`select`](crate::select)), of every device's.
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn capture() -> Result<Self, TorchError> {
        let n_devices = loaded_devices();
        let cuda =
            (0..n_devices).map(|index| read(Device::Cuda(index))).collect::<Result<_, _>>()?;
        Ok(Self { cpu: read(Device::Cpu)?, cuda })
    }

    /// Writes the states back; CUDA states without a loaded device are left out.
    ///
    /// # Errors
    /// Where a state has the wrong length or content; libtorch checks it.
    pub fn restore(&self) -> Result<(), TorchError> {
        write(Device::Cpu, &self.cpu)?;
        let n_devices = loaded_devices();
        self.cuda
            .iter()
            .take(n_devices)
            .enumerate()
            .try_for_each(|(index, state)| write(Device::Cuda(index), state))
    }
}

/// Seeds the default generators of the CPU and, where CUDA was loaded, of every device.
///
/// # Errors
/// Where libtorch fails.
pub fn manual_seed(seed: u64) -> Result<(), TorchError> {
    let n_devices = loaded_devices();
    std::iter::once(Device::Cpu).chain((0..n_devices).map(Device::Cuda)).try_for_each(|device| {
        // SAFETY: takes two numbers.
        ffi::check("manual_seed", unsafe { ffi::dt_manual_seed(index(device), seed) })
    })
}

fn read(device: Device) -> Result<Vec<u8>, TorchError> {
    // SAFETY: takes a number, writes one tensor.
    let state = ffi::tensor("rng_state", |out| unsafe { ffi::dt_rng_state(index(device), out) })?;
    host::to_vec(&state)
}

fn write(device: Device, state: &[u8]) -> Result<(), TorchError> {
    let length = i64::try_from(state.len()).expect("a state of a few thousand bytes");
    let state: Tensor = host::from_slice(state, &[length])?;
    // SAFETY: takes a number and a handle that lives during the call; libtorch checks type and length.
    ffi::check("set_rng_state", unsafe { ffi::dt_set_rng_state(index(device), state.as_ptr()) })
}

/// As the shim counts: −1 is the CPU.
fn index(device: Device) -> i32 {
    match device {
        Device::Cuda(index) => i32::try_from(index).expect("a handful of devices"),
        _ => -1,
    }
}
