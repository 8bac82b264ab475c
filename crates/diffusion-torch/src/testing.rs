//! Where the tests of this workspace take their device from.

use std::io::Write;

use tch::Device;

use crate::{DeviceRequest, select};

/// The variable that names the device of the tests.
pub const DEVICE_VARIABLE: &str = "DIFFUSION_TEST_DEVICE";

/// The device that tests run on: what `DIFFUSION_TEST_DEVICE` says (`cpu`, `cuda`, `cuda:N`, `auto`), else the CPU.
///
/// # Panics
/// Where the variable names no device, or one that is not there: a test run asked for a device must not pass without it.
pub fn device() -> Device {
    let name = std::env::var(DEVICE_VARIABLE).unwrap_or_else(|_| "cpu".to_owned());
    let request: DeviceRequest =
        name.parse().unwrap_or_else(|error| panic!("{DEVICE_VARIABLE}: {error}"));
    select(request).unwrap_or_else(|error| panic!("{DEVICE_VARIABLE}: {error}"))
}

/// The CUDA device of the tests; where they run without one, says on stderr that `test` was skipped and returns `None`.
///
/// # Panics
/// As [`device`].
pub fn cuda_or_skip(test: &str) -> Option<Device> {
    let device = device();
    if device.is_cuda() {
        return Some(device);
    }
    // Straight to stderr: the test harness swallows what `eprintln` prints in a test that passes.
    let _ = writeln!(
        std::io::stderr(),
        "SKIPPED {test}: it needs a GPU; set {DEVICE_VARIABLE}=cuda on a machine that has one"
    );
    None
}
