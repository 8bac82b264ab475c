//! Progress on stderr: a bar where it is a terminal, else a plain line every few seconds.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::output::errln;
use indicatif::{ProgressBar, ProgressStyle};

const LINE_EVERY: Duration = Duration::from_secs(10);

/// Work of a known length.
#[derive(Debug)]
pub(crate) struct Progress {
    what: &'static str,
    length: u64,
    start: Instant,
    first: u64,
    last_line: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Work of `length` steps, of which `done` are done already.
    pub(crate) fn new(what: &'static str, length: u64, done: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(length).with_position(done);
            let template = "{prefix} [{bar:30}] {pos}/{len} {msg} {elapsed} (left {eta})";
            let style = ProgressStyle::with_template(template).expect("the template is fixed");
            bar.set_style(style.progress_chars("=> "));
            bar.set_prefix(what);
            bar.reset_eta();
            bar
        });
        let now = Instant::now();
        Self { what, length, start: now, first: done, last_line: now, bar }
    }

    /// `done` steps are done; `message` says how it goes.
    pub(crate) fn update(&mut self, done: u64, message: &str) {
        match &self.bar {
            Some(bar) => {
                bar.set_position(done);
                if !message.is_empty() {
                    bar.set_message(message.to_owned());
                }
            }
            None if self.last_line.elapsed() >= LINE_EVERY => {
                self.last_line = Instant::now();
                let elapsed = self.start.elapsed().as_secs_f64();
                let steps = (done - self.first).max(1) as f64;
                let left = elapsed / steps * (self.length - done) as f64;
                errln!(
                    "{} {done}/{} {message} {elapsed:.0} s (left {left:.0} s)",
                    self.what,
                    self.length
                );
            }
            None => {}
        }
    }

    /// The end; the bar goes.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
