//! Loading libtorch's CUDA library at run time, and why it is not usable where it is not.
//!
//! rustc links with `--as-needed`, which drops `libtorch_cuda` from every binary, because nothing names a symbol of it: it
//! registers itself when it is loaded. So it is loaded here, where it lies beside `libtorch_cpu`, and one binary serves
//! machines with and without a GPU.
//!
//! Run without a GPU: the load of the CUDA build of libtorch 2.13.0 with a stand-in for the driver, up to a count of zero
//! devices, and every refusal before that. Compiled only: what follows a count above zero.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::driver::{Driver, driver, runtime_cuda_version};
use crate::{ffi, library};

/// Why CUDA, or one device of it, is not usable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CudaProblem {
    /// libtorch is a build without CUDA.
    #[error("libtorch in {} has no libtorch_cuda.so: it is a CPU build", folder.display())]
    CpuBuild {
        /// Where libtorch was loaded from.
        folder: PathBuf,
    },
    /// The CUDA library is there and does not load.
    #[error(
        "libtorch_cuda.so does not load: {error}; `cargo xtask setup` on a machine with a GPU fetches what it needs"
    )]
    NotLoaded {
        /// What the loader says.
        error: String,
    },
    /// There is no NVIDIA driver.
    #[error("there is no NVIDIA driver ({error})")]
    NoDriver {
        /// What the loader says.
        error: String,
    },
    /// The kernel has the driver, and this process does not see its library.
    #[error(
        "the kernel has an NVIDIA driver ({kernel_module}), but libcuda.so.1 does not load ({error}): a container needs `--gpus all` or the NVIDIA runtime"
    )]
    DriverHidden {
        /// The kernel module's version line.
        kernel_module: String,
        /// What the loader says.
        error: String,
    },
    /// The driver serves only an older CUDA.
    #[error("the NVIDIA driver serves CUDA up to {}, libtorch is built for CUDA {}: update the driver", dotted(*driver), dotted(*needed))]
    DriverTooOld {
        /// The newest CUDA that the driver serves, as 1000·major + 10·minor.
        driver: u32,
        /// What libtorch is built for.
        needed: u32,
    },
    /// The driver does not start.
    #[error("the NVIDIA driver does not start: cuInit returned {code}{}", if *code == 803 { " (its library and its kernel module differ: reboot after an update)" } else { "" })]
    DriverFailed {
        /// What `cuInit` returned.
        code: i32,
    },
    /// `CUDA_VISIBLE_DEVICES` hides every device.
    #[error("CUDA_VISIBLE_DEVICES={value:?} hides every device")]
    HiddenByEnvironment {
        /// The variable's value.
        value: String,
    },
    /// The driver has no device.
    #[error("the NVIDIA driver finds no device")]
    NoDevice,
    /// The device of this index is not there.
    #[error("there {} only: indices start at 0", if *count == 1 { "is 1 device".into() } else { format!("are {count} devices") })]
    NoSuchDevice {
        /// The index asked for.
        index: usize,
        /// How many devices there are.
        count: usize,
    },
    /// libtorch was asked about CUDA before its CUDA library was loaded, and remembers that there was none.
    #[error(
        "libtorch was asked about CUDA before its CUDA library was loaded: select the device before the first tensor"
    )]
    TooLate,
    /// The driver has devices, and libtorch does not get at them; it says why on stderr.
    #[error("libtorch cannot use the driver: {error}")]
    NotCounted {
        /// What libtorch said, or how the counts differ.
        error: String,
    },
}

/// Loads `libtorch_cuda.so` if there is a device for it, and counts the devices; later calls return the first answer.
///
/// Call it before the first tensor: libtorch keeps its first answer to "is there CUDA" for good, and a backward pass, a seed
/// or `tch::Cuda::is_available` asks. Where that happened, this says [`CudaProblem::TooLate`].
///
/// # Errors
/// Why there is no usable device. That is the normal state of many machines, and nothing is printed.
pub fn load_cuda() -> Result<usize, CudaProblem> {
    LOADED.get_or_init(load).clone()
}

static LOADED: OnceLock<Result<usize, CudaProblem>> = OnceLock::new();

/// How many devices [`load_cuda`] found, 0 where nobody has called it: a run on the CPU need not wake the GPU.
pub(crate) fn loaded_devices() -> usize {
    LOADED.get().and_then(|found| found.as_ref().ok()).copied().unwrap_or(0)
}

fn load() -> Result<usize, CudaProblem> {
    usable(
        driver(),
        runtime_cuda_version(),
        std::env::var("CUDA_VISIBLE_DEVICES").ok().as_deref(),
    )?;
    load_library()?;
    let (mut linked, mut count) = (false, 0);
    // SAFETY: writes one bool and one int.
    let message = unsafe { ffi::dt_cuda_device_count(&mut linked, &mut count) };
    if let Some(error) = ffi::failure(message) {
        return Err(CudaProblem::NotCounted { error });
    }
    match usize::try_from(count).unwrap_or(0) {
        _ if !linked => Err(CudaProblem::TooLate),
        0 => Err(CudaProblem::NotCounted {
            error: format!(
                "the driver has {}, and libtorch finds none of them",
                driver().devices.join(", ")
            ),
        }),
        count => Ok(count),
    }
}

/// The CUDA library that belongs to the loaded libtorch; the file need not exist.
pub(crate) fn library_file() -> PathBuf {
    library::loaded_path().unwrap_or_default().with_file_name("libtorch_cuda.so")
}

/// Loads the library, whether or not a device is there.
pub(crate) fn load_library() -> Result<PathBuf, CudaProblem> {
    let file = library_file();
    if !file.is_file() {
        return Err(CudaProblem::CpuBuild {
            folder: file.parent().map(Path::to_path_buf).unwrap_or_default(),
        });
    }
    library::open(&file).map_err(|error| CudaProblem::NotLoaded { error })?;
    Ok(file)
}

/// What the driver alone tells.
fn usable(driver: &Driver, needed: Option<u32>, visible: Option<&str>) -> Result<(), CudaProblem> {
    if let Err(error) = &driver.library {
        let error = error.clone();
        return Err(match &driver.kernel_module {
            Some(kernel_module) => {
                CudaProblem::DriverHidden { kernel_module: kernel_module.clone(), error }
            }
            None => CudaProblem::NoDriver { error },
        });
    }
    if let (Some(served), Some(needed)) = (driver.cuda_version, needed)
        && major(served) < major(needed)
    {
        return Err(CudaProblem::DriverTooOld { driver: served, needed });
    }
    match driver.init {
        Some(0) if !driver.devices.is_empty() => Ok(()),
        None | Some(0 | 100) => Err(match visible {
            Some(value) if value.trim().is_empty() || value.trim().starts_with('-') => {
                CudaProblem::HiddenByEnvironment { value: value.to_owned() }
            }
            _ => CudaProblem::NoDevice,
        }),
        Some(code) => Err(CudaProblem::DriverFailed { code }),
    }
}

/// The first part of a version packed as 1000·major + 10·minor.
#[allow(clippy::integer_division)] // unpacks digits
fn major(version: u32) -> u32 {
    version / 1000
}

#[allow(clippy::integer_division)] // unpacks digits
fn dotted(version: u32) -> String {
    format!("{}.{}", major(version), version % 1000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn working() -> Driver {
        Driver {
            library: Ok(()),
            kernel_module: Some("NVRM version: 580".into()),
            cuda_version: Some(13000),
            init: Some(0),
            devices: vec!["A100".into()],
        }
    }

    #[test]
    fn a_working_driver_is_accepted() {
        assert_eq!(usable(&working(), Some(13000), None), Ok(()));
        assert_eq!(
            usable(&Driver { cuda_version: Some(13010), ..working() }, Some(13000), None),
            Ok(())
        );
        // CUDA's minor versions are compatible within one major version.
        assert_eq!(usable(&working(), Some(13020), None), Ok(()));
    }

    #[test]
    fn each_known_cause_is_told_from_the_others() {
        let missing = || Driver {
            library: Err("not found".into()),
            init: None,
            devices: vec![],
            ..working()
        };
        let cause = |driver: Driver, visible| {
            usable(&driver, Some(13000), visible).expect_err("it is broken")
        };
        assert!(matches!(cause(missing(), None), CudaProblem::DriverHidden { .. }));
        assert!(matches!(
            cause(Driver { kernel_module: None, ..missing() }, None),
            CudaProblem::NoDriver { .. }
        ));
        let old = Driver { cuda_version: Some(12040), ..working() };
        assert_eq!(
            cause(old, None).to_string(),
            "the NVIDIA driver serves CUDA up to 12.4, libtorch is built for CUDA 13.0: update the driver"
        );
        let none = || Driver { init: Some(100), devices: vec![], ..working() };
        assert_eq!(cause(none(), None), CudaProblem::NoDevice);
        assert_eq!(cause(none(), Some("0")), CudaProblem::NoDevice);
        assert_eq!(
            cause(none(), Some("")),
            CudaProblem::HiddenByEnvironment { value: String::new() }
        );
        assert_eq!(
            cause(none(), Some("-1")),
            CudaProblem::HiddenByEnvironment { value: "-1".into() }
        );
        let broken = Driver { init: Some(803), devices: vec![], ..working() };
        assert_eq!(cause(broken, None), CudaProblem::DriverFailed { code: 803 });
    }
}
