//! `cargo xtask bench`: the benchmarks of `benches/`.
use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use crate::setup;
use crate::workspace::{Workspace, run};

/// Set up, then run the benchmarks
#[derive(Args)]
pub(crate) struct Bench {
    /// Arguments handed on to `cargo bench`
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Bench {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        setup::ensure(workspace)?;
        run(workspace.cargo().args(["bench", "-p", "diffusion-benches"]).args(&self.arguments))
    }
}
