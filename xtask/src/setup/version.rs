//! The version of a libtorch on disk, and the check of one that the user brings.
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::LIBTORCH_VERSION;

/// Checks the libtorch that `LIBTORCH` names: a whole one, of the one version that fits.
pub(super) fn check_user_libtorch(libtorch: &Path) -> Result<()> {
    let remedy = "unset LIBTORCH, and `cargo xtask setup` provides the right one";
    if !libtorch.is_dir() {
        bail!("LIBTORCH names {}, which is not a folder; {remedy}", libtorch.display());
    }
    // Distributions that split libraries and headers set these two beside it; torch-sys reads them as well.
    let part = |name| env::var_os(name).map_or_else(|| libtorch.to_path_buf(), PathBuf::from);
    let library =
        if cfg!(target_os = "macos") { "lib/libtorch_cpu.dylib" } else { "lib/libtorch_cpu.so" };
    for file in
        [part("LIBTORCH_LIB").join(library), part("LIBTORCH_INCLUDE").join("include/ATen/ATen.h")]
    {
        if !file.exists() {
            bail!(
                "LIBTORCH names {}, which is no whole libtorch: {} is missing; {remedy}",
                libtorch.display(),
                file.display()
            );
        }
    }
    if env::var_os("LIBTORCH_BYPASS_VERSION_CHECK").is_some() {
        return Ok(()); // torch-sys's own way of saying "I know"
    }
    let version =
        version_of(&part("LIBTORCH_INCLUDE").join("include"), libtorch).with_context(|| {
            format!("LIBTORCH names {}, and its version cannot be told", libtorch.display())
        })?;
    if version.split('+').next() != Some(LIBTORCH_VERSION) {
        bail!(
            "LIBTORCH names {}, which is version {version}; this workspace needs {LIBTORCH_VERSION} exactly.\n  Either {remedy}, or name another.",
            libtorch.display()
        );
    }
    Ok(())
}

/// Checks a libtorch in the cache.
pub(super) fn check_version(libtorch: &Path) -> Result<()> {
    let version = version_of(&libtorch.join("include"), libtorch)?;
    if version.split('+').next() == Some(LIBTORCH_VERSION) {
        Ok(())
    } else {
        bail!("it is version {version}, not {LIBTORCH_VERSION}")
    }
}

/// The version by its header, or by the files that releases and wheels carry.
fn version_of(include: &Path, libtorch: &Path) -> Result<String> {
    let headers = ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"];
    let read = |path: PathBuf| fs::read_to_string(path).ok();
    headers
        .iter()
        .find_map(|header| parse_header(&read(include.join(header))?))
        .or_else(|| read(libtorch.join("build-version")).map(|text| text.trim().to_owned()))
        .or_else(|| parse_version_py(&read(libtorch.join("version.py"))?))
        .with_context(|| format!("neither {} nor a build-version file says it", headers[0]))
}

/// `#define TORCH_VERSION_MAJOR 2` and its two companions.
fn parse_header(text: &str) -> Option<String> {
    let number = |part: &str| {
        let define = format!("#define TORCH_VERSION_{part} ");
        text.lines().find_map(|line| line.strip_prefix(&define)?.trim().parse::<u32>().ok())
    };
    Some(format!("{}.{}.{}", number("MAJOR")?, number("MINOR")?, number("PATCH")?))
}

/// `__version__ = '2.13.0+cu130'`
fn parse_version_py(text: &str) -> Option<String> {
    let value = text.lines().find_map(|line| line.strip_prefix("__version__ = "))?;
    Some(value.trim_matches(['\'', '"']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::{parse_header, parse_version_py};

    #[test]
    fn the_version_is_read_from_either_file() {
        let header = "#pragma once\n#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 13\n#define TORCH_VERSION_PATCH 0\n";
        assert_eq!(parse_header(header).as_deref(), Some("2.13.0"));
        assert_eq!(parse_header("#include <torch/headeronly/version.h>\n"), None);
        assert_eq!(
            parse_version_py("__all__ = []\n__version__ = '2.13.0+cu130'\n").as_deref(),
            Some("2.13.0+cu130")
        );
    }
}
