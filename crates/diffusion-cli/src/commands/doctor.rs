//! `diffusion doctor`: what this program found of libtorch and the GPU, and what it will use.

use std::path::{Path, PathBuf};

use diffusion_torch::{CudaLibrary, DeviceRequest, Diagnosis, diagnose};

use super::device_name;
use crate::output::outln;

/// Say which libtorch and which device are used, and why a GPU is not
#[derive(Debug, clap::Args)]
pub(crate) struct Doctor {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Doctor {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let found = diagnose()?;
        let auto = diffusion_torch::select(DeviceRequest::Auto)?;
        if self.json {
            let result = serde_json::json!({
                "libtorch": found.libtorch,
                "version": found.version,
                "expected_version": found.expected_version,
                "version_fits": found.version_fits(),
                "cuda_library": cuda_library(&found.cuda_library),
                "driver": found.driver.kernel_module,
                "devices": found.device_names(),
                "cuda_usable": found.cuda.is_ok(),
                "cuda_problem": found.cuda.as_ref().err().map(ToString::to_string),
                "auto_device": device_name(auto),
                "threads": found.threads.intra_op,
                "cache": cache().map(|(directory, bytes)| serde_json::json!({ "path": directory, "bytes": bytes })),
                "cpu_capability": found.cpu_capability,
            });
            outln!("{result:#}");
        } else {
            print_text(&found);
            if let Some((directory, bytes)) = cache() {
                outln!("cache       {}, {:.1} GB", directory.display(), bytes as f64 / 1e9);
            }
            outln!("device      {} (what --device auto takes)", device_name(auto));
        }
        match found.version_fits() {
            true => Ok(()),
            false => anyhow::bail!(
                "libtorch is version {}, this program needs {}: run `cargo xtask setup`, or set LIBTORCH to a copy of it",
                found.version.as_deref().unwrap_or("unknown"),
                found.expected_version
            ),
        }
    }
}

fn print_text(found: &Diagnosis) {
    let unknown = || "not found".to_owned();
    outln!(
        "libtorch    {}",
        found.libtorch.as_ref().map_or_else(unknown, |p| p.display().to_string())
    );
    let version = found.version.clone().unwrap_or_else(unknown);
    outln!("version     {version} (needed: {})", found.expected_version);
    outln!("processor   {}, {} threads", found.cpu_capability, found.threads.intra_op);
    let needless =
        matches!(found.cuda_library, CudaLibrary::Failed(_)) && found.driver.library.is_err();
    let cuda_part = match needless {
        true => "not loaded, and not needed without an NVIDIA driver".to_owned(),
        false => cuda_library(&found.cuda_library),
    };
    outln!("CUDA part   {cuda_part}");
    outln!(
        "driver      {}",
        found.driver.kernel_module.clone().unwrap_or_else(|| "none".to_owned())
    );
    match &found.cuda {
        Ok(count) => outln!("GPU         {count}: {}", found.device_names().join(", ")),
        Err(problem) => outln!("GPU         not used: {problem}"),
    }
}

fn cuda_library(library: &CudaLibrary) -> String {
    match library {
        CudaLibrary::Absent => "absent (a CPU build of libtorch)".to_owned(),
        CudaLibrary::Loaded(path) => format!("loaded from {}", path.display()),
        CudaLibrary::Failed(error) => format!("does not load: {error}"),
    }
}

/// The per-user cache that `cargo xtask setup` fills, and its size; none where there is no such directory.
fn cache() -> Option<(PathBuf, u64)> {
    let variable =
        |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let directory = variable("DIFFUSION_CACHE").or_else(|| {
        let caches =
            variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")))?;
        Some(caches.join("diffusion"))
    })?;
    let bytes = size_of(&directory).ok()?;
    Some((directory, bytes))
}

fn size_of(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
