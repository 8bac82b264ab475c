//! `cargo xtask tidy`: the invariants of the repository that neither the compiler nor clippy keeps.
//!
//! Each check is a function from text to findings, so that its tests show it failing on bad input.
mod layers;
mod libtorch;
mod machine_paths;
mod manifests;
mod mask;
mod sources;

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::Args;

use self::mask::Source;
use crate::workspace::Workspace;

/// Check the repository's invariants: layering, where libtorch and unsafe may be, headers, names, lengths
#[derive(Args)]
pub(crate) struct Tidy {}

impl Tidy {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        check(workspace)
    }
}

/// Something that is not as it should be, and where.
#[derive(Clone, Debug, PartialEq)]
struct Finding {
    path: PathBuf,
    line: usize,
    message: String,
    severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Severity {
    /// Fails the check.
    Error,
    /// Is reported: a sign, not a fault.
    Note,
}

impl Finding {
    fn error(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_path_buf(), line, message: message.into(), severity: Severity::Error }
    }

    fn note(path: &Path, line: usize, message: impl Into<String>) -> Self {
        Self { severity: Severity::Note, ..Self::error(path, line, message) }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = if self.severity == Severity::Error { "error" } else { "note" };
        write!(f, "{}:{}: {severity}: {}", self.path.display(), self.line, self.message)
    }
}

/// Runs every check; errors out if one of them finds a fault.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let mut findings = Vec::new();
    let mut n_files = 0;
    for path in listed_files(workspace)? {
        let Ok(bytes) = std::fs::read(workspace.root.join(&path)) else { continue }; // removed, and not yet so in git
        let Ok(text) = String::from_utf8(bytes) else { continue }; // binary
        n_files += 1;
        findings.extend(check_file(&path, &text));
    }
    findings.extend(libtorch::check(workspace)?);
    for finding in &findings {
        println!("{finding}");
    }
    let faults = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    if faults > 0 {
        bail!(
            "{faults} {} not as the repository's invariants have it",
            if faults == 1 { "place is" } else { "places are" }
        );
    }
    eprintln!("tidy: {n_files} files, every invariant holds");
    Ok(())
}

fn check_file(path: &Path, text: &str) -> Vec<Finding> {
    let mut findings = machine_paths::check(path, text);
    if path.file_name().is_some_and(|name| name == "Cargo.toml") {
        findings.extend(layers::check(path, text));
        findings.extend(manifests::check(path, text));
    }
    if path.extension().is_some_and(|extension| extension == "rs") {
        findings.extend(sources::check(&Source::new(path, text)));
    }
    findings
}

/// What git tracks or would track: new files count before they are added.
fn listed_files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .current_dir(&workspace.root);
    let output = git.output().context("`git` could not be started")?;
    if !output.status.success() {
        bail!("`git ls-files` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let names = String::from_utf8(output.stdout).context("a file name is not UTF-8")?;
    Ok(names.split_terminator('\0').map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{Finding, check_file};

    #[test]
    fn a_finding_names_file_and_line() {
        let finding = Finding::error(Path::new("crates/a/src/b.rs"), 3, "is wrong");
        assert_eq!(finding.to_string(), "crates/a/src/b.rs:3: error: is wrong");
    }

    #[test]
    fn each_kind_of_file_gets_its_checks() {
        assert!(
            !check_file(
                Path::new("crates/diffusion-math/Cargo.toml"),
                "[dependencies]\ntch = \"1\"\n"
            )
            .is_empty()
        );
        assert!(
            !check_file(Path::new("crates/diffusion-math/src/lib.rs"), "fn f() {}\n").is_empty()
        );
        assert!(check_file(Path::new("README.md"), "Plain text.\n").is_empty());
    }
}
