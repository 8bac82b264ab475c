//! The `diffusion` command line: arguments, progress bars, pictures. It holds no mathematics.
//!
//! stdout carries results, stderr progress and messages. Exit codes: 0 good, 1 the work failed, 2 bad usage or bad
//! configuration.

mod commands;
mod exit;
mod loss_curve;
mod output;
mod picture;
mod progress;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::output::errln;

/// Train diffusion models, sample from them, look into them.
#[derive(Debug, Parser)]
#[command(name = "diffusion", version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Train(commands::train::Train),
    Sample(commands::sample::Sample),
    Forward(commands::forward::Forward),
    Evaluate(commands::evaluate::Evaluate),
    Inspect(commands::inspect::Inspect),
    Doctor(commands::doctor::Doctor),
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    let result = match command {
        Command::Train(train) => train.run(),
        Command::Sample(sample) => sample.run(),
        Command::Forward(forward) => forward.run(),
        Command::Evaluate(evaluate) => evaluate.run(),
        Command::Inspect(inspect) => inspect.run(),
        Command::Doctor(doctor) => doctor.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            errln!("error: {}", exit::message(&error));
            ExitCode::from(exit::code(&error))
        }
    }
}
