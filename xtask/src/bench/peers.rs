//! A training step of the default run, ours and PyTorch's in turn.
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::python;
use crate::workspace::{Workspace, display, executable};

/// Steps before the clock counts: memory is mapped, kernels are chosen.
const WARM_UP: &str = "5";

/// Who is measured.
struct Side {
    name: &'static str,
    command: Box<dyn Fn() -> Command>,
}

/// What one process measured.
#[derive(Debug, PartialEq)]
struct Measured {
    milliseconds: f64,
    loss: String,
    threads: String,
}

/// Runs all sides in turn, `rounds` times, and prints the table.
pub(super) fn compare(workspace: &Workspace, rounds: u16, steps: u16) -> Result<()> {
    let python = python::interpreter()?;
    let bench = executable(workspace.cargo().args([
        "bench",
        "-p",
        "diffusion-benches",
        "--bench",
        "training_step",
        "--no-run",
    ]))?;
    let export = workspace.root.join("target/peers");
    fs::create_dir_all(&export).with_context(|| format!("{} cannot be made", export.display()))?;
    measured_output(Command::new(&bench).arg("--export").arg(&export))?;
    let script = workspace.root.join("benches/training_step.py");
    let sides = sides(&bench, &python, &script, &export);

    let mut figures: Vec<Vec<Measured>> = sides.iter().map(|_| Vec::new()).collect();
    for round in 0..usize::from(rounds) {
        // Another one begins each round: what drifts, drifts for all.
        for place in 0..sides.len() {
            let index = (round + place) % sides.len();
            let mut command = (sides[index].command)();
            command.args(["--warm-up", WARM_UP, "--steps", &steps.to_string()]);
            let measured = Measured::parse(&measured_output(&mut command)?)?;
            eprintln!(
                "round {}: {:<24} {:8.2} ms (mean loss {}, {} threads)",
                round + 1,
                sides[index].name,
                measured.milliseconds,
                measured.loss,
                measured.threads
            );
            figures[index].push(measured);
        }
    }
    if figures.iter().flatten().any(|measured| measured.threads != figures[0][0].threads) {
        bail!("the sides ran on different numbers of threads: set OMP_NUM_THREADS");
    }
    let names: Vec<_> = sides.iter().map(|side| side.name).collect();
    println!(
        "A training step of configs/mnist.toml, {} threads, {rounds} rounds of {steps} steps, medians:\n\n{}",
        figures[0][0].threads,
        table(&names, &figures)
    );
    Ok(())
}

fn sides(bench: &Path, python: &Path, script: &Path, export: &Path) -> Vec<Side> {
    let peer = |option: Option<&'static str>| -> Box<dyn Fn() -> Command> {
        let [python, script, export] = [python, script, export].map(PathBuf::from);
        Box::new(move || {
            let mut command = Command::new(&python);
            command.arg(&script).arg("--export").arg(&export).args(option);
            command.env("HF_HUB_OFFLINE", "1").env("DIFFUSERS_VERBOSITY", "error");
            command
        })
    };
    let bench = bench.to_path_buf();
    vec![
        Side { name: "ours", command: Box::new(move || Command::new(&bench)) },
        Side { name: "PyTorch", command: peer(None) },
        Side { name: "PyTorch, channels-last", command: peer(Some("--channels-last")) },
    ]
}

fn measured_output(command: &mut Command) -> Result<String> {
    let program = display(command);
    let output = command.output().with_context(|| format!("`{program}` could not be started"))?;
    if !output.status.success() {
        bail!("`{program}` failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

impl Measured {
    /// `median 12.34 ms, mean loss 0.5678, 2 threads`, as the last line.
    fn parse(output: &str) -> Result<Self> {
        let line = output.lines().last().unwrap_or_default();
        let words: Vec<_> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        match words[..] {
            ["median", milliseconds, "ms", "mean", "loss", loss, threads, "threads"] => Ok(Self {
                milliseconds: milliseconds.parse()?,
                loss: loss.to_owned(),
                threads: threads.to_owned(),
            }),
            _ => bail!("a benchmark printed no figure: {line:?}"),
        }
    }
}

/// Per side the median over rounds, and the median over rounds of its time divided by ours in the same round.
fn table(names: &[&str], figures: &[Vec<Measured>]) -> String {
    let mut lines = vec![
        "| side | ms per step | its time / ours | range of the ratio |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    let ours: Vec<f64> = figures[0].iter().map(|measured| measured.milliseconds).collect();
    for (name, figures) in names.iter().zip(figures) {
        let times: Vec<f64> = figures.iter().map(|measured| measured.milliseconds).collect();
        let ratios = sorted(times.iter().zip(&ours).map(|(time, ours)| time / ours).collect());
        lines.push(format!(
            "| {name} | {:.2} | {:.2} | {:.2} to {:.2} |",
            median(times),
            median(ratios.clone()),
            ratios[0],
            ratios[ratios.len() - 1]
        ));
    }
    lines.join("\n")
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_by(f64::total_cmp);
    values
}

fn median(values: Vec<f64>) -> f64 {
    let values = sorted(values);
    let middle = values.len() >> 1;
    if values.len() % 2 == 1 { values[middle] } else { 0.5 * (values[middle - 1] + values[middle]) }
}

#[cfg(test)]
mod tests {
    use super::{Measured, median, table};

    fn measured(milliseconds: f64) -> Measured {
        Measured { milliseconds, loss: "0.5".into(), threads: "2".into() }
    }

    #[test]
    fn a_figure_is_read_from_the_last_line() {
        let output = "a warning\nmedian 12.50 ms, mean loss 0.5, 2 threads\n";
        assert_eq!(Measured::parse(output).expect("it is well formed"), measured(12.5));
        assert!(Measured::parse("Traceback").is_err());
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let ours = [10.0, 20.0, 10.0].map(measured).into();
        let peer = [15.0, 30.0, 20.0].map(measured).into();
        let table = table(&["ours", "peer"], &[ours, peer]);
        assert!(table.ends_with("| peer | 20.00 | 1.50 | 1.50 to 2.00 |"), "{table}");
        assert!((median(vec![4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-12);
    }
}
