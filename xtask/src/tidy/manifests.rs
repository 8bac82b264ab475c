//! Every package takes the workspace's lints.
use std::path::Path;

use super::Finding;

pub(super) fn check(path: &Path, text: &str) -> Vec<Finding> {
    let mut lines = text.lines().map(str::trim);
    if !lines.clone().any(|line| line == "[package]") {
        return Vec::new();
    }
    // A package that is its own workspace has no other's lints to take.
    if lines.clone().any(|line| line == "[workspace]") {
        return Vec::new();
    }
    let takes_them = lines.any(|line| line == "[lints]")
        && lines.take_while(|line| !line.starts_with('[')).any(is_opt_in);
    if takes_them || text.lines().any(|line| line.trim().replace(' ', "") == "lints.workspace=true")
    {
        return Vec::new();
    }
    let package =
        text.lines().position(|line| line.trim() == "[package]").map_or(1, |index| index + 1);
    vec![Finding::error(
        path,
        package,
        "the package does not take the workspace's lints: `[lints] workspace = true`",
    )]
}

fn is_opt_in(line: &str) -> bool {
    line.replace(' ', "") == "workspace=true"
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::check;

    #[test]
    fn a_package_without_the_lints_is_found() {
        let path = Path::new("crates/a/Cargo.toml");
        let missing = "# a\n[package]\nname = \"a\"\nversion.workspace = true\n\n[dependencies]\nb.workspace = true\n";
        let found = check(path, missing);
        assert_eq!((found.len(), found[0].line), (1, 2));
        assert_eq!(
            check(
                path,
                &missing.replace("[dependencies]", "[lints]\nworkspace = false\n[dependencies]")
            )
            .len(),
            1
        );
        assert!(
            check(
                path,
                &missing.replace("[dependencies]", "[lints]\nworkspace = true\n[dependencies]")
            )
            .is_empty()
        );
        assert!(check(path, "[workspace]\nmembers = []\n").is_empty());
        assert!(check(path, &format!("[workspace]\n{missing}")).is_empty());
    }
}
