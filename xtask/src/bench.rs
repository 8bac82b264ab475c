//! `cargo xtask bench`: the benchmarks of `benches/`.
mod peers;
mod python;

use std::ffi::OsString;

use anyhow::Result;
use clap::Args;

use crate::setup;
use crate::workspace::{Workspace, run};

/// Set up, then run the benchmarks
#[derive(Args)]
#[command(after_help = "\
With --peers a Python environment with torch and diffusers is made once, in the per-user cache (5 GB; DIFFUSION_CACHE says where).
Both sides then run in turn, each round in fresh processes, on as many threads as OMP_NUM_THREADS says, else on all.
A ratio above 1 means that ours is faster.")]
pub(crate) struct Bench {
    /// Measure a training step of the default run against PyTorch, same network, batch and data
    #[arg(long, conflicts_with = "arguments")]
    peers: bool,
    /// How often each side is run
    #[arg(long, value_name = "N", default_value_t = 5, requires = "peers", value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Steps that are timed in each run
    #[arg(long, value_name = "N", default_value_t = 30, requires = "peers", value_parser = clap::value_parser!(u16).range(1..))]
    steps: u16,
    /// Arguments handed on to `cargo bench`
    #[arg(value_name = "ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Bench {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        setup::ensure(workspace)?;
        if self.peers {
            return peers::compare(workspace, self.rounds, self.steps);
        }
        run(workspace.cargo().args(["bench", "-p", "diffusion-benches"]).args(&self.arguments))
    }
}
