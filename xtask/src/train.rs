//! `cargo xtask train`: from a bare machine to a trained model, and for the default run to pictures.
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::failure::{BadUsage, ProgramFailed};
use crate::setup;
use crate::workspace::{Workspace, run};

/// The run that is made when no configuration is named, relative to the workspace's root.
const DEFAULT_CONFIG: &str = "configs/mnist.toml";

/// The classes of the default run's picture, each a row of as many samples.
const N_CLASSES: usize = 10;
const N_PER_CLASS: usize = 10;

/// Set up, build and train; without CONFIG digits on MNIST, with a picture at the end
#[derive(Args)]
#[command(
    override_usage = "cargo xtask train [CONFIG.toml] [ARGS]...",
    after_help = "\
Without CONFIG.toml, configs/mnist.toml is trained, and then a picture is drawn, one row a class.

Examples:
  cargo xtask train                                    digits, from nothing to pictures
  cargo xtask train --resume                           the same run, continued after an interruption
  cargo xtask train --set run.dir=runs/second --set train.steps=200
  cargo xtask train my.toml --device cuda
  cargo run --release -p diffusion-cli -- train --help what else `diffusion train` takes"
)]
pub(crate) struct Train {
    /// A configuration, and arguments handed on to `diffusion train`
    #[arg(value_name = "CONFIG.toml | ARGS", trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Train {
    pub(crate) fn run(&self, workspace: &Workspace) -> Result<()> {
        let plan = Plan::new(&self.arguments)?;
        let started = Instant::now();
        setup::ensure(workspace)?;
        let set_up = minutes(started);

        let started = Instant::now();
        run(diffusion(workspace, "build").arg("--release"))?;
        let built = minutes(started);

        let started = Instant::now();
        let mut train = diffusion(workspace, "run");
        train.args(["--release", "--quiet", "--", "train"]).arg(&plan.config).args(&plan.arguments);
        if plan.config != Path::new(DEFAULT_CONFIG) {
            train.current_dir(std::env::current_dir()?); // paths in the user's own words
        }
        if let Err(error) = run_to_the_end("diffusion train", &mut train) {
            plan.hint(workspace, &error);
            return Err(error);
        }
        if !plan.draws_picture() {
            return Ok(());
        }
        let trained = minutes(started);

        let started = Instant::now();
        let run_dir = plan.run_dir(workspace)?;
        let picture = run_dir.join("samples/grid.png");
        run_to_the_end("diffusion sample", &mut plan.sample(workspace, &run_dir, &picture))?;
        let drawn = minutes(started);

        let started = Instant::now();
        run_to_the_end("diffusion evaluate", &mut plan.evaluate(workspace, &run_dir))?;
        eprintln!(
            "minutes: set-up {set_up:.1}, build {built:.1}, training {trained:.1}, picture {drawn:.1}, evaluation {:.1}",
            minutes(started)
        );
        let report = report(&run_dir, &picture);
        if plan.has("--json") {
            eprintln!("{report}"); // stdout is the training's
        } else {
            println!("{report}");
        }
        Ok(())
    }
}

/// What the words after `cargo xtask train` come to.
#[derive(Debug, PartialEq)]
struct Plan {
    config: PathBuf,
    arguments: Vec<OsString>,
}

impl Plan {
    /// The first word is a configuration unless it is an option.
    fn new(words: &[OsString]) -> Result<Self> {
        let is_option = |word: &OsString| word.to_string_lossy().starts_with('-');
        let (config, arguments) = match words {
            [first, rest @ ..] if !is_option(first) => (PathBuf::from(first), rest),
            _ => (PathBuf::from(DEFAULT_CONFIG), words),
        };
        let plan = Self { config, arguments: arguments.to_vec() };
        if plan.has("--nproc") {
            return Err(BadUsage("--nproc is not there yet: training runs in one process, on one device and as many threads as the machine has cores".into()).into());
        }
        Ok(plan)
    }

    fn has(&self, option: &str) -> bool {
        let with_value = format!("{option}=");
        self.arguments
            .iter()
            .any(|word| word == option || word.to_string_lossy().starts_with(&with_value))
    }

    /// The value of `--option VALUE` or `--option=VALUE`; the last one counts.
    fn value_of(&self, option: &str) -> Option<String> {
        self.values_of(option).pop()
    }

    fn values_of(&self, option: &str) -> Vec<String> {
        let words: Vec<_> = self.arguments.iter().map(|word| word.to_string_lossy()).collect();
        let assigned = words
            .iter()
            .filter_map(|word| word.strip_prefix(option)?.strip_prefix('=').map(str::to_owned));
        let separate = words
            .windows(2)
            .filter(|pair| pair[0] == option)
            .map(|pair| pair[1].clone().into_owned());
        assigned.chain(separate).collect()
    }

    /// The default run ends with a picture, unless nothing was trained.
    fn draws_picture(&self) -> bool {
        self.config == Path::new(DEFAULT_CONFIG)
            && !["--dry-run", "--help", "-h"].iter().any(|option| self.has(option))
    }

    /// `run.dir` of the arguments, else of the default configuration.
    fn run_dir(&self, workspace: &Workspace) -> Result<PathBuf> {
        let chosen = self
            .values_of("--set")
            .iter()
            .rev()
            .find_map(|pair| pair.strip_prefix("run.dir=").map(unquoted));
        let written = || run_dir_in(&fs::read_to_string(workspace.root.join(DEFAULT_CONFIG)).ok()?);
        chosen
            .or_else(written)
            .map(PathBuf::from)
            .with_context(|| format!("{DEFAULT_CONFIG} names no run.dir"))
    }

    /// Draws the picture: a class for each sample, a row each. The path that `diffusion sample` prints is told with the rest.
    fn sample(&self, workspace: &Workspace, run_dir: &Path, picture: &Path) -> Command {
        let mut sample = diffusion(workspace, "run");
        sample.args(["--release", "--quiet", "--", "sample"]).arg(run_dir);
        sample.args(["-n", &(N_CLASSES * N_PER_CLASS).to_string(), "--class", &rows_of_classes()]);
        sample.args(["--scale", "3", "-o"]).arg(picture).stdout(Stdio::null());
        if let Some(device) = self.value_of("--device") {
            sample.arg("--device").arg(device);
        }
        sample
    }

    /// Says how many samples a classifier recognises. stdout is the training's where that is to be JSON.
    fn evaluate(&self, workspace: &Workspace, run_dir: &Path) -> Command {
        let mut evaluate = diffusion(workspace, "run");
        evaluate.args(["--release", "--quiet", "--", "evaluate"]).arg(run_dir);
        if let Some(device) = self.value_of("--device") {
            evaluate.arg("--device").arg(device);
        }
        if self.has("--json") {
            evaluate.stdout(Stdio::null());
        }
        evaluate
    }

    /// A run that exists already is the one mistake that everybody makes.
    fn hint(&self, workspace: &Workspace, error: &anyhow::Error) {
        let refused =
            error.downcast_ref::<ProgramFailed>().is_some_and(|failed| failed.code == Some(2));
        if !refused || !self.draws_picture() || self.has("--resume") {
            return;
        }
        let Ok(run_dir) = self.run_dir(workspace) else { return };
        if fs::read_dir(workspace.root.join(&run_dir)).is_ok_and(|mut files| files.next().is_some())
        {
            eprintln!(
                "hint: {} exists. `cargo xtask train --resume` continues it; `cargo xtask train --set run.dir=runs/NAME` starts another beside it.",
                run_dir.display()
            );
        }
    }
}

/// `dir = "…"` in the table `[run]`.
fn run_dir_in(config: &str) -> Option<String> {
    let table = config.lines().map(str::trim).skip_while(|line| *line != "[run]").skip(1);
    let mut keys = table.take_while(|line| !line.starts_with('['));
    keys.find_map(|line| {
        let value = line.strip_prefix("dir")?.trim_start().strip_prefix('=')?;
        value.trim().strip_prefix('"')?.split_once('"').map(|(dir, _)| dir.to_owned())
    })
}

fn unquoted(value: &str) -> String {
    value.trim_matches(['"', '\'']).to_owned()
}

/// `0,0,…,1,1,…`: a class for each sample, a row each.
fn rows_of_classes() -> String {
    let classes =
        (0..N_CLASSES).flat_map(|class| std::iter::repeat_n(class.to_string(), N_PER_CLASS));
    classes.collect::<Vec<_>>().join(",")
}

/// `diffusion train` has said where the model, the checkpoints and the loss curve are.
fn report(run_dir: &Path, picture: &Path) -> String {
    format!(
        "  picture      {} (a row a class, 0 at the top)\n  more         cargo run --release -p diffusion-cli -- sample {} -n 16 --class 7 -o sevens.png",
        picture.display(),
        run_dir.display()
    )
}

fn diffusion(workspace: &Workspace, subcommand: &str) -> Command {
    let mut cargo = workspace.cargo();
    cargo.arg(subcommand).arg("--manifest-path").arg(workspace.root.join("Cargo.toml")).args([
        "-p",
        "diffusion-cli",
        "--bin",
        "diffusion",
    ]);
    cargo
}

/// Waits for a training that handles Ctrl-C itself (it writes a checkpoint): a signal to us must not end us before it.
fn run_to_the_end(program: &str, command: &mut Command) -> Result<()> {
    let interrupted = interruption::watch()?;
    let mut child = command.spawn().with_context(|| format!("`{program}` could not be started"))?;
    let status = wait(&mut child, &interrupted)?;
    if !status.success() {
        return Err(ProgramFailed { program: program.to_owned(), code: status.code() }.into());
    }
    if interrupted.any() {
        bail!("interrupted; `cargo xtask train --resume` continues");
    }
    Ok(())
}

fn wait(child: &mut Child, interrupted: &interruption::Flags) -> Result<ExitStatus> {
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        // A terminal sends Ctrl-C to the child as well; SIGTERM comes to us alone and is handed on.
        if interrupted.take_termination() {
            drop(Command::new("kill").args(["-TERM", &child.id().to_string()]).status());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[cfg(unix)]
mod interruption {
    //! SIGINT and SIGTERM as flags, so that they do not end xtask while it waits.
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use anyhow::Result;
    use signal_hook::consts::{SIGINT, SIGTERM};

    pub(super) struct Flags {
        seen: Arc<AtomicBool>,
        termination: Arc<AtomicBool>,
    }

    pub(super) fn watch() -> Result<Flags> {
        let flags = Flags { seen: Arc::default(), termination: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&flags.seen))?;
        }
        signal_hook::flag::register(SIGTERM, Arc::clone(&flags.termination))?;
        Ok(flags)
    }

    impl Flags {
        pub(super) fn any(&self) -> bool {
            self.seen.load(Ordering::Relaxed)
        }

        pub(super) fn take_termination(&self) -> bool {
            self.termination.swap(false, Ordering::Relaxed)
        }
    }
}

#[cfg(not(unix))]
mod interruption {
    //! Without signals there is nothing to wait out.
    pub(super) struct Flags;

    pub(super) fn watch() -> anyhow::Result<Flags> {
        Ok(Flags)
    }

    impl Flags {
        pub(super) fn any(&self) -> bool {
            false
        }

        pub(super) fn take_termination(&self) -> bool {
            false
        }
    }
}

fn minutes(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() / 60.0
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::path::Path;

    use super::{DEFAULT_CONFIG, Plan, rows_of_classes, run_dir_in};
    use crate::failure::BadUsage;

    fn plan(words: &str) -> anyhow::Result<Plan> {
        Plan::new(&words.split_whitespace().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn the_first_word_is_a_configuration_unless_it_is_an_option() {
        let own = plan("my.toml --resume").expect("it is well formed");
        assert_eq!((own.config.as_path(), own.arguments.len()), (Path::new("my.toml"), 1));
        assert!(!own.draws_picture());
        let default = plan("--resume --set train.steps=5").expect("it is well formed");
        assert_eq!(
            (default.config.as_path(), default.arguments.len()),
            (Path::new(DEFAULT_CONFIG), 3)
        );
        assert!(default.draws_picture());
        assert!(!plan("--dry-run").expect("it is well formed").draws_picture());
    }

    #[test]
    fn several_processes_are_refused_as_bad_usage() {
        for words in ["--nproc 2", "my.toml --nproc=2"] {
            assert!(plan(words).expect_err("it is refused").is::<BadUsage>());
        }
    }

    #[test]
    fn the_last_value_of_an_option_counts() {
        let plan = plan("--device=cpu --set run.dir=a --set train.steps=1 --device cuda:1")
            .expect("it is well formed");
        assert_eq!(plan.value_of("--device").as_deref(), Some("cuda:1"));
        assert_eq!(plan.values_of("--set"), ["run.dir=a", "train.steps=1"]);
    }

    #[test]
    fn the_run_folder_is_read_from_its_table() {
        let config = "[data]\ndir = \"data\"\n\n[run]\nname = \"x\"\ndir = \"runs/mnist\" # here\n[train]\ndir = \"no\"\n";
        assert_eq!(run_dir_in(config).as_deref(), Some("runs/mnist"));
        assert_eq!(run_dir_in("[train]\ndir = \"no\"\n"), None);
    }

    #[test]
    fn each_class_fills_a_row() {
        let classes = rows_of_classes();
        assert_eq!(classes.split(',').count(), 100);
        assert!(classes.starts_with("0,0,0,0,0,0,0,0,0,0,1,"));
    }
}
