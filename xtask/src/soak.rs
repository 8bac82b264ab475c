//! `cargo xtask soak`: training that is killed without warning must end as if nobody had touched it.
//!
//! One small run goes through undisturbed.
//! Then every kill gets a run of its own: started, ended by SIGKILL, resumed to the end, and compared with the undisturbed one byte for byte.
mod compare;
mod dice;
mod kill;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Args;

use self::compare::difference;
use self::dice::Dice;
use self::kill::{Aim, Killed};
use crate::setup;
use crate::workspace::{Workspace, display, executable};

/// The default data and a network a quarter the size, with dropout, so that the generators' state matters, and frequent checkpoints.
const SMALL_RUN: [&str; 8] = [
    "model.unet2d.block_out_channels=[16,32,32]",
    "model.unet2d.attention_head_dim=16",
    "model.unet2d.dropout=0.1",
    "optimizer.warmup_steps=10",
    "train.batch_size=16",
    "train.steps=60",
    "train.checkpoint_every=6",
    "train.seed=1",
];
const STEPS: u64 = 60;
const CHECKPOINT_EVERY: u64 = 6;

/// How often a kill is tried again that came after the end of the run, or beside the checkpoint that it was aimed at.
const TRIES: usize = 8;

/// Kill training at random moments, resume it, and compare what it ends with, byte for byte
#[derive(Args)]
#[command(after_help = "\
Half of the kills come at a random moment of the run, the other half while a checkpoint is being written.
Compared are the checkpoints (weights, averaged weights, optimiser, generators, position), the pipeline, and metrics.jsonl without its timings.
The runs lie in target/soak; what differs is kept there.")]
pub(crate) struct Soak {
    /// How many kills, each in a run of its own
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    kills: u64,
    /// Fixes the moments that are aimed at; without it, the clock does
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
}

impl Soak {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        setup::ensure(workspace)?;
        let bench = Bench::prepare(workspace)?;
        let seed = self.seed.map_or_else(seed_of_the_clock, Ok)?;
        let whole = bench.undisturbed()?;
        eprintln!(
            "undisturbed: {STEPS} steps in {:.1} s, {:.0} ms to write a checkpoint; seed {seed}",
            whole.seconds,
            1e3 * whole.checkpoint_seconds
        );
        let mut dice = Dice::new(seed);
        let (mut identical, mut inside) = (0, 0);
        for number in 1..=self.kills {
            let aim = if number % 2 == 1 { Aim::Anywhere } else { Aim::Checkpoint };
            let outcome = bench.kill_and_resume(number, aim, &whole, &mut dice)?;
            inside += u64::from(outcome.killed.in_checkpoint.is_some());
            identical += u64::from(outcome.difference.is_none());
            println!("kill {number:>2}: {outcome}");
        }
        println!("{inside} of {} inside the writing of a checkpoint", self.kills);
        println!("{identical} of {} bit-identical", self.kills);
        if identical < self.kills {
            bail!("the runs that differ are in {}", bench.folder.display());
        }
        if self.kills > 1 && inside == 0 {
            bail!("no kill fell inside the writing of a checkpoint: try another --seed");
        }
        drop(fs::remove_dir_all(&bench.folder));
        Ok(())
    }
}

/// Where the runs are, and what makes them.
struct Bench {
    root: PathBuf,
    folder: PathBuf,
    diffusion: PathBuf,
}

/// The run that nobody killed.
struct Undisturbed {
    folder: PathBuf,
    seconds: f64,
    /// The median time for which a checkpoint's temporary folder could be seen.
    checkpoint_seconds: f64,
}

/// What became of a run that was killed once.
struct Outcome {
    killed: Killed,
    /// What the resumed training said of its beginning.
    resumed: String,
    difference: Option<String>,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let verdict = self.difference.as_ref().map_or_else(
            || "bit-identical".to_owned(),
            |difference| format!("DIFFERS: {difference}"),
        );
        write!(f, "{}; {}; {verdict}", self.killed, self.resumed)
    }
}

impl Bench {
    fn prepare(workspace: &Workspace) -> Result<Self> {
        let diffusion = executable(workspace.cargo().args([
            "build",
            "--release",
            "-p",
            "diffusion-cli",
            "--bin",
            "diffusion",
        ]))?;
        let folder = workspace.root.join("target/soak");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("{} cannot be emptied", folder.display()))?;
        }
        fs::create_dir_all(&folder)
            .with_context(|| format!("{} cannot be made", folder.display()))?;
        Ok(Self { root: workspace.root.clone(), folder, diffusion })
    }

    /// `diffusion train` of the small run, into a folder of its own.
    fn train(&self, name: &str) -> Command {
        let mut train = Command::new(&self.diffusion);
        train.current_dir(&self.root).args(["train", "configs/mnist.toml", "--device", "cpu"]);
        for pair in SMALL_RUN {
            train.args(["--set", pair]);
        }
        train.arg("--set").arg(format!("run.dir={}", self.run_folder(name).display()));
        train.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        train
    }

    fn run_folder(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn undisturbed(&self) -> Result<Undisturbed> {
        let folder = self.run_folder("undisturbed");
        let started = Instant::now();
        let mut command = self.train("undisturbed");
        let mut child = command.stderr(Stdio::inherit()).spawn().context("diffusion")?;
        let mut writes = kill::WriteTimes::default();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            writes.look(&folder);
            std::thread::sleep(Duration::from_micros(500));
        };
        if !status.success() {
            bail!("the undisturbed run failed: {status}");
        }
        let checkpoint_seconds = writes.median().unwrap_or(0.005);
        Ok(Undisturbed { folder, seconds: started.elapsed().as_secs_f64(), checkpoint_seconds })
    }

    fn kill_and_resume(
        &self,
        number: u64,
        aim: Aim,
        whole: &Undisturbed,
        dice: &mut Dice,
    ) -> Result<Outcome> {
        let name = format!("kill-{number:02}");
        let folder = self.run_folder(&name);
        let killed = self.kill(&name, aim, whole, dice)?;
        let output = self
            .train(&name)
            .arg("--resume")
            .stderr(Stdio::piped())
            .output()
            .context("diffusion")?;
        let said = String::from_utf8_lossy(&output.stderr);
        let resumed = said
            .lines()
            .find(|line| line.starts_with("going on") || line.starts_with("no whole"))
            .map_or("resumed", |line| if line.starts_with("no") { "from step 0" } else { line })
            .to_owned();
        let difference = if output.status.success() {
            difference(&whole.folder, &folder)?
        } else {
            Some(format!("resuming ended with {}: {}", output.status, said.trim()))
        };
        if difference.is_none() {
            drop(fs::remove_dir_all(&folder)); // disk space only
        }
        Ok(Outcome { killed, resumed, difference })
    }

    /// Starts the run and kills it; again, from nothing, where the kill missed.
    fn kill(&self, name: &str, aim: Aim, whole: &Undisturbed, dice: &mut Dice) -> Result<Killed> {
        let folder = self.run_folder(name);
        let mut last = None;
        for _ in 0..TRIES {
            if folder.exists() {
                fs::remove_dir_all(&folder)
                    .with_context(|| format!("{} cannot be emptied", folder.display()))?;
            }
            let mut command = self.train(name);
            let child = command
                .spawn()
                .with_context(|| format!("`{}` could not be started", display(&command)))?;
            let killed = match aim {
                Aim::Anywhere => {
                    kill::after(child, &folder, Duration::from_secs_f64(dice.below(whole.seconds)))?
                }
                Aim::Checkpoint => {
                    let which = 1 + dice.index(STEPS.div_euclid(CHECKPOINT_EVERY));
                    let delay = Duration::from_secs_f64(dice.below(whole.checkpoint_seconds));
                    kill::in_checkpoint(child, &folder, which * CHECKPOINT_EVERY, delay)?
                }
            };
            match killed {
                Some(killed) if aim == Aim::Anywhere || killed.in_checkpoint.is_some() => {
                    return Ok(killed);
                }
                Some(killed) => last = Some(killed),
                None => {}
            }
        }
        last.with_context(|| format!("{TRIES} times the run was over before the kill"))
    }
}

fn seed_of_the_clock() -> Result<u64> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    Ok(now.context("the clock stands before 1970")?.as_secs())
}
