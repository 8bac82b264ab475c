//! The crates that must build on a bare machine reach libtorch's bindings by no path, however long: asked of cargo's own resolution.
use std::fs;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::Finding;
use super::layers::{BINDINGS, dependencies};
use crate::workspace::Workspace;

/// Package and folder.
const BARE: [(&str, &str); 3] = [
    ("diffusion-math", "crates/diffusion-math"),
    ("diffusion-samplers", "crates/diffusion-samplers"),
    ("xtask", "xtask"),
];

pub(super) fn check(workspace: &Workspace) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (package, folder) in BARE {
        let mut cargo = workspace.cargo();
        cargo.args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal,build,dev",
            "--target",
            "all",
            "--prefix",
            "depth",
            "--no-dedupe",
            "--format",
            " {p}",
        ]);
        let output = cargo.output()?;
        if !output.status.success() {
            bail!("`cargo tree` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        if let Some(chain) = chain_to_bindings(&String::from_utf8_lossy(&output.stdout)) {
            let manifest = PathBuf::from(folder).join("Cargo.toml");
            let text = fs::read_to_string(workspace.root.join(&manifest))?;
            let direct = chain.get(1).map(String::as_str).unwrap_or_default();
            let line = dependencies(&text)
                .iter()
                .find(|dependency| dependency.package == direct)
                .map_or(1, |dependency| dependency.line);
            findings.push(Finding::error(
                &manifest,
                line,
                format!("reaches libtorch: {}", chain.join(" → ")),
            ));
        }
    }
    Ok(findings)
}

/// The path from the root of a tree (`cargo tree --prefix depth --format " {p}"`) to the first binding of libtorch in it.
fn chain_to_bindings(tree: &str) -> Option<Vec<String>> {
    let mut chain: Vec<String> = Vec::new();
    for line in tree.lines() {
        let mut words = line.split_whitespace();
        let (Some(depth), Some(package)) =
            (words.next().and_then(|depth| depth.parse().ok()), words.next())
        else {
            continue;
        };
        chain.truncate(depth);
        chain.push(package.to_owned());
        if BINDINGS.contains(&package) {
            return Some(chain);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::chain_to_bindings;

    #[test]
    fn a_long_path_to_libtorch_is_found_and_told() {
        let tree = "0 diffusion-math v0.1.0 (/x)\n1 serde v1.0.0\n2 serde_core v1.0.0\n1 proptest v1.0.0\n2 middle v0.1.0\n3 tch v0.26.0\n";
        assert_eq!(
            chain_to_bindings(tree).expect("it is there"),
            ["diffusion-math", "proptest", "middle", "tch"]
        );
    }

    #[test]
    fn a_tree_without_it_passes() {
        assert_eq!(chain_to_bindings("0 diffusion-math v0.1.0\n1 torch-system v1.0.0\n"), None);
    }
}
