//! SHA-256 sums, checked by the system's own tool: no dependency to build for the one time that a download is verified.
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// Checks files below `folder` against their SHA-256 (lower-case hexadecimal) and returns those that are missing or differ.
///
/// # Errors
/// Neither `sha256sum` (Linux) nor `shasum` (macOS) is there.
pub(crate) fn mismatches(folder: &Path, expected: &[(PathBuf, String)]) -> Result<Vec<PathBuf>> {
    let mut failed = Vec::new();
    // A path with a line break cannot be listed; no wheel and no data set has one.
    let list: String =
        expected.iter().map(|(path, sum)| format!("{sum}  {}\n", path.display())).collect();
    let mut child = start(folder)?;
    let mut stdin = child.stdin.take().context("the tool's input is a pipe")?;
    let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()));
    let output = child.wait_with_output()?;
    let written =
        writer.join().map_err(|_| anyhow::anyhow!("the thread that feeds the list panicked"))?;
    if !output.status.success() {
        // Lines read `PATH: OK`, `PATH: FAILED` or `PATH: FAILED open or read`.
        let report = String::from_utf8_lossy(&output.stdout);
        failed.extend(
            report
                .lines()
                .filter_map(|line| line.rsplit_once(": FAILED"))
                .map(|(path, _)| PathBuf::from(path)),
        );
        if failed.is_empty() {
            bail!("the checksum tool failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
    }
    written.context("the list could not be handed to the checksum tool")?;
    Ok(failed)
}

fn start(folder: &Path) -> Result<std::process::Child> {
    for (program, arguments) in
        [("sha256sum", &["--check", "-"][..]), ("shasum", &["-a", "256", "--check", "-"][..])]
    {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(folder).env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            child => return child.with_context(|| format!("`{program}` could not be started")),
        }
    }
    bail!("neither `sha256sum` nor `shasum` is installed, so that a download cannot be verified")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::mismatches;

    #[test]
    fn a_changed_and_a_missing_file_are_named() {
        let folder = std::env::temp_dir().join(format!("xtask-checksum-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a temporary folder can be made");
        for name in ["good", "changed"] {
            fs::write(folder.join(name), "abc").expect("a file can be written");
        }
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let expected = |name: &str, sum: &str| (PathBuf::from(name), sum.to_owned());
        let failed = mismatches(
            &folder,
            &[
                expected("good", abc),
                expected("changed", &abc.replace('b', "c")),
                expected("missing", abc),
            ],
        );
        fs::remove_dir_all(&folder).expect("the temporary folder can be removed");
        assert_eq!(
            failed.expect("a checksum tool is installed"),
            [PathBuf::from("changed"), PathBuf::from("missing")]
        );
    }
}
