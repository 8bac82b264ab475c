//! `cargo xtask`: what one runs on this repository, one file per command.
//!
//! stdout carries results, stderr carries progress. Exit codes: 0 good, 1 the work failed, 2 bad usage.
#![allow(clippy::print_stdout, clippy::print_stderr)] // this is the caller that prints

mod bench;
mod book;
mod checksum;
mod ci;
mod data;
mod failure;
mod package;
mod setup;
mod soak;
mod test;
mod tidy;
mod train;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::workspace::Workspace;

/// What one runs on this repository
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Setup(setup::Setup),
    Train(train::Train),
    Test(test::Test),
    Ci(ci::Ci),
    Tidy(tidy::Tidy),
    Bench(bench::Bench),
    Soak(soak::Soak),
    Package(package::Package),
    Book(book::Book),
    Data(data::Data),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Workspace::find().and_then(|workspace| match arguments.command {
        Command::Setup(command) => command.run(&workspace),
        Command::Train(command) => command.run(&workspace),
        Command::Test(command) => command.run(&workspace),
        Command::Ci(command) => command.run(&workspace),
        Command::Tidy(command) => command.run(&workspace),
        Command::Bench(command) => command.run(&workspace),
        Command::Soak(command) => command.run(&workspace),
        Command::Package(command) => command.run(&workspace),
        Command::Book(command) => command.run(&workspace),
        Command::Data(command) => command.run(&workspace),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failure::report(&error),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::Arguments;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }
}
