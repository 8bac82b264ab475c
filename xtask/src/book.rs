//! `cargo xtask book`: the book in `docs/`, built by mdBook.
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;

use crate::workspace::{Workspace, answers, run};

/// How a missing mdBook is brought.
pub(crate) const INSTALL: &str = "cargo install mdbook --locked";

/// Build the book (docs/book/index.html); needs mdbook
#[derive(Args)]
pub(crate) struct Book {}

impl Book {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        if !is_installed() {
            bail!("mdbook is not installed: `{INSTALL}`");
        }
        build(workspace)?;
        println!("{}", workspace.root.join("docs/book/index.html").display());
        Ok(())
    }
}

pub(crate) fn is_installed() -> bool {
    answers(&mut Command::new("mdbook"))
}

pub(crate) fn build(workspace: &Workspace) -> Result<()> {
    run(Command::new("mdbook").arg("build").arg(workspace.root.join("docs")))
}
