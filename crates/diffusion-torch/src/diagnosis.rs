//! What a doctor needs to know about libtorch and the GPU of this machine.

use std::path::PathBuf;

use crate::driver::driver;
use crate::{
    CudaProblem, Driver, EXPECTED_VERSION, Threads, TorchError, cuda, ffi, load_cuda, loaded_path,
    loaded_version, threads,
};

/// Whether the CUDA library of the loaded libtorch is there, and loads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CudaLibrary {
    /// libtorch is a CPU build.
    Absent,
    /// It was loaded from this file.
    Loaded(PathBuf),
    /// It is there and does not load; what the loader says.
    Failed(String),
}

/// What [`diagnose`] finds.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Diagnosis {
    /// The file from which libtorch's CPU library was loaded.
    pub libtorch: Option<PathBuf>,
    /// The version that tch binds.
    pub expected_version: &'static str,
    /// The version that is loaded; `None` where it is too old to tell.
    pub version: Option<String>,
    /// How libtorch was built.
    pub build: String,
    /// The vector instructions that libtorch uses here: `DEFAULT`, `AVX2` or `AVX512`.
    pub cpu_capability: String,
    /// The threads of libtorch's pools.
    pub threads: Threads,
    /// The CUDA library.
    pub cuda_library: CudaLibrary,
    /// The NVIDIA driver.
    pub driver: Driver,
    /// How many CUDA devices libtorch uses, or why none.
    pub cuda: Result<usize, CudaProblem>,
}

impl Diagnosis {
    /// Whether the loaded libtorch is the version that tch binds.
    pub fn version_fits(&self) -> bool {
        self.version.as_deref() == Some(self.expected_version)
    }

    /// The CUDA devices that libtorch uses.
    pub fn device_count(&self) -> usize {
        self.cuda.as_ref().map_or(0, |count| *count)
    }

    /// The names of the CUDA devices, from the driver.
    pub fn device_names(&self) -> &[String] {
        &self.driver.devices
    }
}

/// Looks at libtorch, the driver and the devices; like [`load_cuda`], to be called before the first tensor.
///
/// Unlike [`load_cuda`] it tries to load the CUDA library even without a driver, so as to report every cause at once.
///
/// # Errors
/// Where libtorch fails to describe itself.
pub fn diagnose() -> Result<Diagnosis, TorchError> {
    let cuda_library = match cuda::load_library() {
        Ok(file) => CudaLibrary::Loaded(file),
        Err(CudaProblem::CpuBuild { .. }) => CudaLibrary::Absent,
        Err(CudaProblem::NotLoaded { error }) => CudaLibrary::Failed(error),
        Err(problem) => CudaLibrary::Failed(problem.to_string()),
    };
    Ok(Diagnosis {
        libtorch: loaded_path(),
        expected_version: EXPECTED_VERSION,
        version: loaded_version(),
        build: ffi::text("show_config", ffi::dt_show_config)?,
        cpu_capability: ffi::text("get_cpu_capability", ffi::dt_cpu_capability)?,
        threads: threads()?,
        cuda_library,
        driver: driver().clone(),
        cuda: load_cuda(),
    })
}
