//! Which libtorch this machine gets, and the folder it is kept in.
use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::LIBTORCH_VERSION;
use crate::failure::BadUsage;

/// What the copy in the cache can do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Variant {
    /// The wheel and the two CUDA libraries that even `libtorch_cpu.so` is linked to.
    Cpu,
    /// The wheel and all of the NVIDIA libraries it names.
    Cuda,
}

impl Variant {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Cuda => "cuda",
        }
    }

    /// As `DIFFUSION_LIBTORCH` says; without it, CUDA where an NVIDIA driver is found.
    pub(super) fn choose() -> Result<Self> {
        Self::parse(env::var_os("DIFFUSION_LIBTORCH").as_deref(), nvidia_driver_is_loaded())
    }

    fn parse(wish: Option<&OsStr>, driver: bool) -> Result<Self> {
        match wish.map(OsStr::to_string_lossy).as_deref() {
            None | Some("") if driver => Ok(Self::Cuda),
            None | Some("") => Ok(Self::Cpu),
            Some("cpu") => Ok(Self::Cpu),
            Some("cuda") => Ok(Self::Cuda),
            Some(other) => Err(BadUsage(format!(
                "DIFFUSION_LIBTORCH is \"{other}\"; allowed are cpu and cuda"
            ))
            .into()),
        }
    }
}

/// A driver shows itself as a device node or in `/proc`, also inside containers; on WSL as a library of the host's.
fn nvidia_driver_is_loaded() -> bool {
    [
        "/proc/driver/nvidia/version",
        "/dev/nvidiactl",
        "/dev/nvidia0",
        "/usr/lib/wsl/lib/libcuda.so.1",
    ]
    .iter()
    .any(|path| Path::new(path).exists())
}

/// The folder of one libtorch in the user's cache.
#[derive(Debug, PartialEq)]
pub(super) struct Cache {
    pub(super) variant: Variant,
    pub(super) parent: PathBuf,
    pub(super) name: String,
    pub(super) folder: PathBuf,
}

impl Cache {
    pub(super) fn locate(variant: Variant) -> Result<Self> {
        let parent = user_cache()?;
        let name = format!("libtorch-{LIBTORCH_VERSION}-{}", variant.name());
        Ok(Self { variant, folder: parent.join(&name), parent, name })
    }
}

/// The folder for what all of a user's checkouts share.
pub(crate) fn user_cache() -> Result<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = parent_folder(set("DIFFUSION_CACHE"), set("XDG_CACHE_HOME"), set("HOME"))
        .context("neither HOME, XDG_CACHE_HOME nor DIFFUSION_CACHE is set, so that there is no place for a cache")?;
    Ok(std::path::absolute(folder)?)
}

/// `DIFFUSION_CACHE`, else `diffusion` below `XDG_CACHE_HOME` (relative ones do not count, as its specification says), else below `~/.cache`.
fn parent_folder(
    own: Option<PathBuf>,
    xdg: Option<PathBuf>,
    home: Option<PathBuf>,
) -> Option<PathBuf> {
    let shared =
        || xdg.filter(|path| path.is_absolute()).or_else(|| home.map(|home| home.join(".cache")));
    own.or_else(|| shared().map(|folder| folder.join("diffusion")))
}

/// The wheel exists for one platform that this set-up knows; elsewhere the user brings libtorch.
pub(super) fn check_platform() -> Result<()> {
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Ok(());
    }
    bail!(
        "libtorch can be set up for Linux on x86-64 only; this is {} on {}.\n  \
         Unpack libtorch {LIBTORCH_VERSION} for this machine yourself and set LIBTORCH to its folder.",
        env::consts::OS,
        env::consts::ARCH
    )
}

/// The bindings of libtorch hold C++; a machine that builds Rust may have a compiler for C alone.
pub(super) fn check_compiler() -> Result<()> {
    let chosen = env::vars_os().any(|(name, _)| name.to_string_lossy().starts_with("CXX"));
    let path = env::var_os("PATH").unwrap_or_default();
    if !cfg!(unix) || chosen || env::split_paths(&path).any(|folder| folder.join("c++").exists()) {
        return Ok(());
    }
    bail!(
        "there is no C++ compiler: no `c++` on the PATH, and CXX is not set.\n  Install one (`apt install g++`)."
    )
}

/// Free bytes for this user on the disk of `folder`, as `df` counts them; `None` where it cannot be asked.
pub(super) fn free_bytes(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).env("LC_ALL", "C").output().ok()?;
    parse_df(&String::from_utf8(output.stdout).ok()?)
}

/// POSIX `df -Pk`: a heading, then one line with the available kibibytes in the fourth column.
fn parse_df(text: &str) -> Option<u64> {
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::path::PathBuf;

    use super::{Variant, parent_folder, parse_df};

    #[test]
    fn the_cache_is_the_first_that_is_set() {
        let path = |text: &str| Some(PathBuf::from(text));
        assert_eq!(parent_folder(path("/own"), path("/xdg"), path("/h")), path("/own"));
        assert_eq!(parent_folder(None, path("/xdg"), path("/h")), path("/xdg/diffusion"));
        assert_eq!(parent_folder(None, path("relative"), path("/h")), path("/h/.cache/diffusion"));
        assert_eq!(parent_folder(None, None, path("/h")), path("/h/.cache/diffusion"));
        assert_eq!(parent_folder(None, None, None), None);
    }

    #[test]
    fn the_users_wish_goes_before_the_driver() {
        let choose = |wish: Option<&str>, driver| Variant::parse(wish.map(OsStr::new), driver).ok();
        assert_eq!(choose(None, true), Some(Variant::Cuda));
        assert_eq!(choose(None, false), Some(Variant::Cpu));
        assert_eq!(choose(Some("cpu"), true), Some(Variant::Cpu));
        assert_eq!(choose(Some("cuda"), false), Some(Variant::Cuda));
        assert_eq!(choose(Some("gpu"), false), None);
    }

    #[test]
    fn free_space_is_read_from_df() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/vda 263174212 18743408 76123456 20% /\n";
        assert_eq!(parse_df(text), Some(76_123_456 * 1024));
        assert_eq!(parse_df(""), None);
    }
}
