//! `cargo xtask ci`: everything that a change must pass, each stage with its outcome and its minutes. Nothing is skipped in silence.
use std::fmt;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::workspace::{Workspace, answers, run};
use crate::{book, package, setup, test, tidy};

/// Run every check: set-up, fmt, tidy, clippy, tests, packages, rustdoc, book, deny
#[derive(Args)]
pub(crate) struct Ci {
    /// The stages to run, in the order of the list; all of them if none is named
    #[arg(value_enum)]
    stages: Vec<Stage>,
    /// Install what is missing (mdbook, cargo-deny) with cargo, which takes minutes; without this it is reported as SKIPPED
    #[arg(long)]
    install_tools: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, ValueEnum)]
enum Stage {
    /// libtorch is there, whole, and of the right version
    Setup,
    /// `cargo fmt --check`
    Fmt,
    /// The invariants of the repository: `cargo xtask tidy`
    Tidy,
    /// Clippy over all targets, warnings are errors
    Clippy,
    /// All tests: `cargo xtask test`
    Test,
    /// The crates as others have them: `cargo xtask package`
    Package,
    /// rustdoc, warnings are errors
    Rustdoc,
    /// The book builds
    Book,
    /// cargo-deny: licences, sources and bans of the dependencies
    Deny,
    /// cargo-deny: known vulnerabilities; needs its database from the network
    Advisories,
}

/// What became of a stage.
enum Outcome {
    Ok,
    Failed(anyhow::Error),
    Skipped(String),
}

impl Ci {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        let all = Stage::value_variants();
        let chosen: Vec<_> = all
            .iter()
            .filter(|stage| self.stages.is_empty() || self.stages.contains(stage))
            .collect();
        let mut rows = Vec::new();
        for &&stage in &chosen {
            eprintln!("\n== {stage} ==");
            let started = Instant::now();
            let outcome = stage.outcome(workspace, self.install_tools);
            if let Outcome::Failed(error) = &outcome {
                eprintln!("{stage}: {error:#}");
            }
            rows.push((stage, outcome, started.elapsed()));
        }
        println!("\n{}", table(&rows));
        let failed =
            rows.iter().filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed(_))).count();
        if failed > 0 {
            bail!("{failed} of {} stages failed", rows.len());
        }
        Ok(())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.pad(value.as_ref().map_or("", |value| value.get_name()))
    }
}

impl Stage {
    fn outcome(self, workspace: &Workspace, install_tools: bool) -> Outcome {
        match self.missing_tool(install_tools) {
            Ok(None) => {}
            Ok(Some(reason)) => return Outcome::Skipped(reason),
            Err(error) => return Outcome::Failed(error),
        }
        if self == Self::Advisories {
            return advisories(workspace);
        }
        self.check(workspace).map_or_else(Outcome::Failed, |()| Outcome::Ok)
    }

    fn check(self, workspace: &Workspace) -> Result<()> {
        // Clippy and rustdoc build the crates that bind libtorch.
        if matches!(self, Self::Setup | Self::Clippy | Self::Test | Self::Rustdoc) {
            setup::ensure(workspace)?;
        }
        match self {
            Self::Setup => Ok(()),
            Self::Fmt => run(workspace.cargo().args(["fmt", "--all", "--check"])),
            Self::Tidy => tidy::check(workspace),
            Self::Clippy => run(workspace.cargo().args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ])),
            Self::Test => test::run(workspace, &[]),
            Self::Package => package::check(workspace, false),
            Self::Rustdoc => run(workspace
                .cargo()
                .args(["doc", "--workspace", "--no-deps"])
                .env("RUSTDOCFLAGS", "-D warnings")),
            Self::Book => book::build(workspace),
            Self::Deny => run(workspace.cargo().args([
                "deny",
                "--workspace",
                "check",
                "bans",
                "licenses",
                "sources",
            ])),
            Self::Advisories => {
                run(workspace.cargo().args(["deny", "--workspace", "check", "advisories"]))
            }
        }
    }

    /// The reason to skip, if the stage's tool is missing and is not to be installed.
    fn missing_tool(self, install: bool) -> Result<Option<String>> {
        let (installed, command): (fn() -> bool, _) = match self {
            Self::Book => (book::is_installed, book::INSTALL),
            Self::Deny | Self::Advisories => {
                (|| answers(&mut Command::new("cargo-deny")), "cargo install cargo-deny --locked")
            }
            _ => return Ok(None),
        };
        if installed() {
            return Ok(None);
        }
        if !install {
            return Ok(Some(format!(
                "not installed: `{command}`, or `cargo xtask ci --install-tools`"
            )));
        }
        let mut words = command.split(' ');
        run(Command::new(words.next().context("the command has a first word")?).args(words))?;
        Ok(None)
    }
}

/// The database of advisories is a git repository elsewhere: not reaching it says nothing about this workspace.
fn advisories(workspace: &Workspace) -> Outcome {
    let fetched = workspace.cargo().args(["deny", "fetch", "db"]).output();
    match fetched {
        Ok(output) if output.status.success() => {
            Stage::Advisories.check(workspace).map_or_else(Outcome::Failed, |()| Outcome::Ok)
        }
        _ => Outcome::Skipped("the database of advisories could not be fetched".into()),
    }
}

fn table(rows: &[(Stage, Outcome, Duration)]) -> String {
    let mut lines = vec![format!("{:<12} {:<8} minutes", "stage", "result")];
    lines.extend(rows.iter().map(|(stage, outcome, time)| {
        let (result, note) = match outcome {
            Outcome::Ok => ("ok", ""),
            Outcome::Failed(_) => ("FAILED", ""),
            Outcome::Skipped(reason) => ("SKIPPED", reason.as_str()),
        };
        format!("{stage:<12} {result:<8} {:>7.1}  {note}", time.as_secs_f64() / 60.0)
            .trim_end()
            .to_owned()
    }));
    let total: f64 = rows.iter().map(|(_, _, time)| time.as_secs_f64() / 60.0).sum();
    lines.push(format!("{:<12} {:<8} {total:>7.1}", "together", ""));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::anyhow;

    use super::{Outcome, Stage, table};

    #[test]
    fn the_table_names_what_failed_and_what_was_skipped() {
        let minute = Duration::from_secs(60);
        let text = table(&[
            (Stage::Fmt, Outcome::Ok, minute),
            (Stage::Clippy, Outcome::Failed(anyhow!("a warning")), minute),
            (Stage::Book, Outcome::Skipped("not installed".into()), Duration::ZERO),
        ]);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "fmt          ok           1.0");
        assert_eq!(lines[2], "clippy       FAILED       1.0");
        assert_eq!(lines[3], "book         SKIPPED      0.0  not installed");
        assert_eq!(lines[4], "together                  2.0");
    }
}
