//! What goes to stdout and stderr. A closed pipe is no reason to panic: least of all in the middle of a training run.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write};

/// A line of results. A reader that went away (`| head`) ends the program quietly, anything else with an error.
pub(crate) fn result_line(line: Arguments<'_>) {
    match writeln!(std::io::stdout(), "{line}") {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(0),
        Err(error) => {
            message_line(format_args!("error: cannot write to stdout: {error}"));
            std::process::exit(1);
        }
    }
}

/// A line of progress or a message; where nobody can read it, the work goes on.
pub(crate) fn message_line(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// `println!` that does not panic.
macro_rules! outln {
    ($($text:tt)*) => { $crate::output::result_line(format_args!($($text)*)) };
}

/// `eprintln!` that does not panic.
macro_rules! errln {
    ($($text:tt)*) => { $crate::output::message_line(format_args!($($text)*)) };
}

pub(crate) use {errln, outln};
