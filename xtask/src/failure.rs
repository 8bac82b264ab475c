//! The ways a command ends badly, and the exit code of each.
use std::fmt;
use std::process::ExitCode;

/// A request that cannot be carried out as asked: exit code 2.
#[derive(Debug)]
pub(crate) struct BadUsage(pub(crate) String);

impl fmt::Display for BadUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadUsage {}

/// A program that was run and did not succeed. It has already said why.
#[derive(Debug)]
pub(crate) struct ProgramFailed {
    pub(crate) program: String,
    /// `None`: ended by a signal.
    pub(crate) code: Option<i32>,
}

impl fmt::Display for ProgramFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "`{}` ended with exit code {code}", self.program),
            None => write!(f, "`{}` was ended by a signal", self.program),
        }
    }
}

impl std::error::Error for ProgramFailed {}

/// Prints the error and picks the exit code: 2 for bad usage, here or in the program that was run, else 1.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("error: {error:#}");
    let bad_usage = error.is::<BadUsage>()
        || error.downcast_ref::<ProgramFailed>().is_some_and(|p| p.code == Some(2));
    ExitCode::from(if bad_usage { 2 } else { 1 })
}
