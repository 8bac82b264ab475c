//! The NVIDIA driver, asked directly: the reasons for which CUDA is not usable lie here, and libtorch reports none of them.
//!
//! Run with a stand-in library of these five functions, and without any; never with a real driver.

use std::ffi::{CStr, c_char, c_int};
use std::sync::OnceLock;

use crate::library::{Library, open, symbol};

/// What the NVIDIA driver says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Driver {
    /// Whether `libcuda.so.1` loads, or what the loader says.
    pub library: Result<(), String>,
    /// The first line of `/proc/driver/nvidia/version`: the kernel module, which containers see even without the library.
    pub kernel_module: Option<String>,
    /// The newest CUDA that the driver serves, as 1000·major + 10·minor.
    pub cuda_version: Option<u32>,
    /// What `cuInit` returned; 0 is success, 100 no device, 803 a driver that does not match its kernel module.
    pub init: Option<i32>,
    /// The names of the devices that `CUDA_VISIBLE_DEVICES` leaves visible.
    pub devices: Vec<String>,
}

/// Asks once; the answer does not change while the process runs.
pub(crate) fn driver() -> &'static Driver {
    static DRIVER: OnceLock<Driver> = OnceLock::new();
    DRIVER.get_or_init(ask)
}

/// The CUDA version that libtorch was built for, as 1000·major + 10·minor; `None` for a build without CUDA.
pub(crate) fn runtime_cuda_version() -> Option<u32> {
    version_through(symbol(None, c"cudaRuntimeGetVersion")?)
}

fn ask() -> Driver {
    let module = std::fs::read_to_string("/proc/driver/nvidia/version").ok();
    let kernel_module =
        module.and_then(|text| text.lines().next().map(|line| line.trim().to_owned()));
    let library = match open("libcuda.so.1") {
        Ok(library) => library,
        Err(error) => {
            return Driver {
                library: Err(error),
                kernel_module,
                cuda_version: None,
                init: None,
                devices: Vec::new(),
            };
        }
    };
    let init = init(library);
    Driver {
        library: Ok(()),
        kernel_module,
        cuda_version: symbol(Some(library), c"cuDriverGetVersion").and_then(version_through),
        init,
        devices: if init == Some(0) { device_names(library) } else { Vec::new() },
    }
}

fn init(library: Library) -> Option<i32> {
    let address = symbol(Some(library), c"cuInit")?;
    // SAFETY: cuda.h declares `CUresult cuInit(unsigned int)`.
    let init: extern "C" fn(u32) -> c_int = unsafe { std::mem::transmute(address) };
    Some(init(0))
}

/// Calls `cuDriverGetVersion` or `cudaRuntimeGetVersion`, which both write one int and return 0.
fn version_through(address: *const std::ffi::c_void) -> Option<u32> {
    // SAFETY: the callers pass the address of one of the two functions named above.
    let get: unsafe extern "C" fn(*mut c_int) -> c_int = unsafe { std::mem::transmute(address) };
    let mut version = 0;
    // SAFETY: the function writes one int to the pointer.
    let result = unsafe { get(&mut version) };
    if result == 0 { u32::try_from(version).ok().filter(|version| *version > 0) } else { None }
}

fn device_names(library: Library) -> Vec<String> {
    let (Some(count), Some(get), Some(name)) = (
        symbol(Some(library), c"cuDeviceGetCount"),
        symbol(Some(library), c"cuDeviceGet"),
        symbol(Some(library), c"cuDeviceGetName"),
    ) else {
        return Vec::new();
    };
    // SAFETY: cuda.h declares `CUresult cuDeviceGetCount(int*)`.
    let count: unsafe extern "C" fn(*mut c_int) -> c_int = unsafe { std::mem::transmute(count) };
    // SAFETY: cuda.h declares `CUresult cuDeviceGet(CUdevice*, int)`, and a CUdevice is an int.
    let get: unsafe extern "C" fn(*mut c_int, c_int) -> c_int = unsafe { std::mem::transmute(get) };
    // SAFETY: cuda.h declares `CUresult cuDeviceGetName(char*, int, CUdevice)`.
    let name: unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int =
        unsafe { std::mem::transmute(name) };

    let mut n_devices = 0;
    // SAFETY: writes one int.
    if unsafe { count(&mut n_devices) } != 0 {
        return Vec::new();
    }
    (0..n_devices)
        .map(|index| {
            let mut device = 0;
            let mut buffer = [0u8; 256];
            // SAFETY: writes one int.
            let found = unsafe { get(&mut device, index) };
            // SAFETY: writes at most 255 characters and a NUL to a buffer of 256.
            let named = found == 0 && unsafe { name(buffer.as_mut_ptr().cast(), 255, device) } == 0;
            let text =
                CStr::from_bytes_until_nul(&buffer).map(|text| text.to_string_lossy().into_owned());
            if named {
                text.unwrap_or_default()
            } else {
                format!("device {index}, of unknown name")
            }
        })
        .collect()
}
