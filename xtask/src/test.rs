//! `cargo xtask test`: the tests of the whole workspace, in one cargo invocation.
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Args;

use crate::failure::ProgramFailed;
use crate::setup;
use crate::workspace::{Workspace, display};

/// Set up, then run every test of the workspace, doctests among them
#[derive(Args)]
#[command(after_help = "\
Examples:
  cargo xtask test
  cargo xtask test -p diffusion-models unet        tests of one crate whose name has `unet`")]
pub(crate) struct Test {
    /// Arguments handed on to `cargo test`; without `-p` all packages are tested
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Test {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        run(workspace, &self.arguments)
    }
}

/// Runs the tests, shows their output as it comes, and closes with one line that adds up all test binaries.
pub(crate) fn run(workspace: &Workspace, arguments: &[OsString]) -> Result<()> {
    setup::ensure(workspace)?;
    let started = Instant::now();
    let mut cargo = workspace.cargo();
    cargo.arg("test").stdout(Stdio::piped());
    if !names_a_package(arguments) {
        cargo.arg("--workspace");
    }
    cargo.arg("--no-fail-fast").args(arguments);

    let program = display(&cargo);
    let mut child = cargo.spawn().with_context(|| format!("`{program}` could not be started"))?;
    let mut total = Counts::default();
    let mut lines = BufReader::new(child.stdout.take().context("the tests' output is a pipe")?);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line)? > 0 {
        std::io::stdout().write_all(&line)?;
        if let Some(counts) = Counts::parse(&String::from_utf8_lossy(&line)) {
            total.add(&counts);
        }
        line.clear();
    }
    let status = child.wait()?;
    println!("\n{} passed, {} failed, {} skipped", total.passed, total.failed, total.ignored);
    eprintln!(
        "tests took {:.1} minutes, building them included",
        started.elapsed().as_secs_f64() / 60.0
    );
    if status.success() {
        Ok(())
    } else {
        Err(ProgramFailed { program, code: status.code() }.into())
    }
}

fn names_a_package(arguments: &[OsString]) -> bool {
    let before_separator =
        arguments.iter().map(|word| word.to_string_lossy()).take_while(|word| word != "--");
    before_separator.into_iter().any(|word| word.starts_with("-p") || word.starts_with("--package"))
}

/// What one test binary, or all of them, came to.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    /// `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s`
    fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |name: &str| {
            counts.split("; ").find_map(|part| part.strip_suffix(name)?.trim().parse().ok())
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            ignored: count("ignored")?,
        })
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

#[cfg(test)]
mod tests {
    use super::{Counts, names_a_package};

    #[test]
    fn closing_lines_are_added_up() {
        let line = "test result: FAILED. 12 passed; 2 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.10s\n";
        let counts = Counts { passed: 12, failed: 2, ignored: 1 };
        assert_eq!(Counts::parse(line), Some(counts));
        assert_eq!(Counts::parse("test tests::x ... ok"), None);
    }

    #[test]
    fn a_package_named_after_the_separator_is_none_of_cargos() {
        assert!(names_a_package(&["-p".into(), "diffusion-math".into()]));
        assert!(names_a_package(&["--package=diffusion-math".into()]));
        assert!(!names_a_package(&["--".into(), "-p".into()]));
        assert!(!names_a_package(&["--release".into()]));
    }
}
