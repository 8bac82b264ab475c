//! Ending a training by SIGKILL, at a time or in the middle of writing a checkpoint.
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;

/// The name under which a checkpoint is written, before it is renamed.
const TEMPORARY: &str = ".writing-";

/// A file system is looked at this often.
const GLANCE: Duration = Duration::from_micros(200);

/// What a kill is aimed at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Aim {
    /// Any moment between the start of the process and its end.
    Anywhere,
    /// The middle of writing a checkpoint.
    Checkpoint,
}

/// A process that did not live to its end, and what it left.
#[derive(Debug)]
pub(super) struct Killed {
    after: Duration,
    /// The last step whose checkpoint has its name.
    last_checkpoint: u64,
    /// The half-written checkpoint that the kill left, and its files.
    pub(super) in_checkpoint: Option<String>,
}

impl fmt::Display for Killed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {:.2} s, ", self.after.as_secs_f64())?;
        match &self.in_checkpoint {
            Some(what) => write!(f, "INSIDE the writing of {what}"),
            None if self.last_checkpoint == 0 => f.write_str("before the first checkpoint"),
            None => write!(f, "behind the checkpoint of step {}", self.last_checkpoint),
        }
    }
}

/// Kills after a time; `None` where the process had ended before.
pub(super) fn after(mut child: Child, run: &Path, time: Duration) -> Result<Option<Killed>> {
    let started = Instant::now();
    sleep(time);
    kill(&mut child, run, started)
}

/// Kills `delay` after the checkpoint of a step is begun; `None` where the process had ended before.
pub(super) fn in_checkpoint(
    mut child: Child,
    run: &Path,
    step: u64,
    delay: Duration,
) -> Result<Option<Killed>> {
    let started = Instant::now();
    let temporary = run.join("checkpoints").join(format!("{TEMPORARY}step-{step:06}"));
    let whole = run.join("checkpoints").join(format!("step-{step:06}"));
    while !temporary.exists() && !whole.exists() {
        if child.try_wait()?.is_some() {
            return Ok(None);
        }
        sleep(GLANCE);
    }
    sleep(delay);
    kill(&mut child, run, started)
}

fn kill(child: &mut Child, run: &Path, started: Instant) -> Result<Option<Killed>> {
    child.kill()?; // SIGKILL
    let after = started.elapsed();
    if child.wait()?.code().is_some() {
        return Ok(None); // it had ended by itself
    }
    let (mut last_checkpoint, mut in_checkpoint) = (0, None);
    for name in names(&run.join("checkpoints")) {
        if let Some(checkpoint) = name.strip_prefix(TEMPORARY) {
            let files = names(&run.join("checkpoints").join(&name));
            // A file gets its name when it is whole.
            let name_of = |file: &String| match file.split_once('.') {
                Some(("", _)) | None => "half a file".to_owned(),
                Some((name, _)) => name.to_owned(),
            };
            let files: Vec<_> = files.iter().map(name_of).collect();
            let files = if files.is_empty() { "nothing".into() } else { files.join(", ") };
            in_checkpoint = Some(format!("{checkpoint} ({files} there)"));
        } else if let Some(Ok(step)) = name.strip_prefix("step-").map(str::parse::<u64>) {
            last_checkpoint = last_checkpoint.max(step);
        }
    }
    Ok(Some(Killed { after, last_checkpoint, in_checkpoint }))
}

/// The names in a folder, sorted; none where there is no folder.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// How long checkpoints take to write, as one sees from outside.
#[derive(Default)]
pub(super) struct WriteTimes {
    current: Option<Instant>,
    seconds: Vec<f64>,
}

impl WriteTimes {
    /// To be called often.
    pub(super) fn look(&mut self, run: &Path) {
        let writing =
            names(&run.join("checkpoints")).iter().any(|name| name.starts_with(TEMPORARY));
        match (writing, self.current) {
            (true, None) => self.current = Some(Instant::now()),
            (false, Some(begun)) => {
                self.seconds.push(begun.elapsed().as_secs_f64());
                self.current = None;
            }
            _ => {}
        }
    }

    pub(super) fn median(mut self) -> Option<f64> {
        self.seconds.sort_by(f64::total_cmp);
        self.seconds.get(self.seconds.len() >> 1).copied()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::process::Command;
    use std::time::Duration;

    use super::after;

    #[test]
    fn a_process_that_ended_by_itself_was_not_killed() {
        let nowhere = std::path::Path::new("nowhere");
        let child = Command::new("true").spawn().expect("it starts");
        let killed =
            after(child, nowhere, Duration::from_millis(300)).expect("it can be waited for");
        assert!(killed.is_none());
        let child = Command::new("sleep").arg("60").spawn().expect("it starts");
        let killed = after(child, nowhere, Duration::ZERO).expect("it can be waited for");
        assert_eq!(
            killed.expect("it slept").to_string().split(", ").nth(1),
            Some("before the first checkpoint")
        );
    }
}
