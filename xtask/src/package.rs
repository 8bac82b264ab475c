//! `cargo xtask package`: the crates as others have them. What would go to a registry is whole, and programs outside the
//! workspace, each with one of the crates, build and do what they say.
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::setup;
use crate::workspace::{Workspace, run};

/// Package every crate, and run programs outside the workspace that depend on one crate each
#[derive(Args)]
pub(crate) struct Package {
    /// Also build the packages that bind libtorch from their packed files, not only those of the mathematics and samplers
    #[arg(long)]
    verify_all: bool,
}

impl Package {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        check(workspace, self.verify_all)
    }
}

/// The crates that would go to a registry, lowest first.
const CRATES: [&str; 7] = [
    "diffusion-math",
    "diffusion-samplers",
    "diffusion-torch",
    "diffusion-models",
    "diffusion-pipelines",
    "diffusion-train",
    "diffusion-cli",
];

/// The first of them, which build without libtorch and in under a minute.
const QUICK: usize = 2;

/// What every package must hold.
const FILES: [&str; 3] = ["README.md", "LICENSE-MIT", "LICENSE-APACHE"];

/// A package is for code: one above this many bytes, packed, has swallowed data.
const LARGEST: u64 = 500_000;

/// The folder of the programs.
const OUTSIDE: &str = "outside";

pub(crate) fn check(workspace: &Workspace, verify_all: bool) -> Result<()> {
    setup::ensure(workspace)?;
    // What follows is offline: one look at the registry instead of one a crate.
    run(workspace.cargo().args(["fetch", "--locked"]))?;
    for name in CRATES {
        check_contents(workspace, name)?;
    }
    let (verified, packed) = CRATES.split_at(if verify_all { CRATES.len() } else { QUICK });
    package(workspace, &CRATES, &["--no-verify"])?;
    package(workspace, verified, &[])?;
    for name in CRATES {
        let state =
            if packed.contains(&name) { "packed" } else { "packed, built from the packed files" };
        println!("{name:<20} {:>4} KiB  {state}", packed_size(workspace, name)?.div_ceil(1024));
    }
    for program in programs(&workspace.root.join(OUTSIDE))? {
        run_outside(workspace, &program)?;
    }
    Ok(())
}

/// `cargo package` of several crates at once: those that depend on each other find each other in a registry of its own.
fn package(workspace: &Workspace, crates: &[&str], options: &[&str]) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["package", "--quiet", "--offline", "--allow-dirty"]).args(options);
    for name in crates {
        cargo.args(["--package", name]);
    }
    run(&mut cargo)
}

fn check_contents(workspace: &Workspace, name: &str) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["package", "--list", "--allow-dirty", "--offline", "--package", name]);
    let output = cargo.output().context("`cargo package --list` could not be started")?;
    if !output.status.success() {
        bail!(
            "`cargo package --list -p {name}`: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    let missing = missing_files(&String::from_utf8_lossy(&output.stdout));
    if missing.is_empty() {
        return Ok(());
    }
    bail!("the package {name} has no {}", missing.join(", no "))
}

/// What a list of packed files lacks.
fn missing_files(list: &str) -> Vec<&'static str> {
    FILES.into_iter().filter(|file| !list.lines().any(|line| line == *file)).collect()
}

fn packed_size(workspace: &Workspace, name: &str) -> Result<u64> {
    let file = format!("{name}-{}.crate", env!("CARGO_PKG_VERSION")); // all share one version
    let path = target_folder(workspace).join("package").join(&file);
    let size =
        fs::metadata(&path).with_context(|| format!("{} is not there", path.display()))?.len();
    if size > LARGEST {
        bail!("{file} has {size} bytes, more than {LARGEST}: exclude data from the package");
    }
    Ok(size)
}

/// Cargo's target folder; a relative `CARGO_TARGET_DIR` is taken from the workspace's root, where cargo is run.
fn target_folder(workspace: &Workspace) -> PathBuf {
    let folder = env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    workspace.root.join(folder)
}

fn programs(folder: &Path) -> Result<Vec<String>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.path().join("Cargo.toml").is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort_unstable();
    if names.is_empty() {
        bail!("{} holds no program", folder.display());
    }
    Ok(names)
}

/// Builds and runs a program as its author would elsewhere: none of this workspace's cargo configuration, `LIBTORCH` set.
/// Versions are those of the workspace's lock file, and the target folder is shared: what is built already is not built again.
fn run_outside(workspace: &Workspace, program: &str) -> Result<()> {
    let folder = workspace.root.join(OUTSIDE).join(program);
    fs::copy(workspace.root.join("Cargo.lock"), folder.join("Cargo.lock"))
        .with_context(|| format!("cannot write {}", folder.join("Cargo.lock").display()))?;
    let libtorch = workspace.user_libtorch().unwrap_or_else(|| workspace.libtorch_link());
    let mut cargo = workspace.cargo();
    cargo
        .current_dir(env::temp_dir()) // cargo looks for its configuration from here upward
        .args(["run", "--quiet", "--offline", "--manifest-path"])
        .arg(folder.join("Cargo.toml"))
        .env("CARGO_TARGET_DIR", target_folder(workspace))
        .env("CARGO_PROFILE_DEV_DEBUG", "1")
        .env("LIBTORCH", libtorch);
    print!("{program:<16} ");
    std::io::Write::flush(&mut std::io::stdout())?;
    run(&mut cargo)
}

#[cfg(test)]
mod tests {
    use super::missing_files;

    #[test]
    fn a_package_without_a_licence_is_found() {
        let list = "Cargo.toml\nLICENSE-MIT\nREADME.md\nsrc/LICENSE-APACHE\nsrc/lib.rs\n";
        assert_eq!(missing_files(list), ["LICENSE-APACHE"]);
        assert!(missing_files(&format!("LICENSE-APACHE\n{list}")).is_empty());
    }
}
