//! A disk that is full in the middle of training: a clear error, nothing lost, and the same bits once there is room.
//!
//! The disk is a small tmpfs, which only root, or root in a user namespace, can mount: the test runs itself again in a
//! mount namespace of its own, whose mounts go when it ends. Where that is not possible it prints SKIPPED and why.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // a test ends where it fails
#![allow(clippy::print_stderr)] // a test that is skipped says so

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[path = "../../diffusion-train/tests/support/mod.rs"]
mod support;

/// Set in the process that may mount: the folder to work in.
const INSIDE: &str = "DIFFUSION_TEST_FULL_DISK";
const TEST: &str = "a_full_disk_is_said_so_and_loses_nothing";

const DISK_BYTES: u64 = 16 << 20;
const PAGE: u64 = 4096;
const STEPS: u64 = 24;
const CHECKPOINT_EVERY: u64 = 3;

#[test]
fn a_full_disk_is_said_so_and_loses_nothing() {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return fill_the_disk(Path::new(&folder));
    }
    let directory = tempfile::tempdir().unwrap();
    let mut reasons = Vec::new();
    for namespace in ["-m", "-rm"] {
        match trial(namespace, directory.path()) {
            Ok(()) => {
                let status = Command::new("unshare")
                    .arg(namespace)
                    .arg(std::env::current_exe().unwrap())
                    .args(["--exact", TEST, "--nocapture"])
                    .env(INSIDE, directory.path())
                    .status()
                    .unwrap();
                assert!(status.success(), "see above");
                return;
            }
            Err(reason) => reasons.push(format!("unshare {namespace}: {reason}")),
        }
    }
    eprintln!("SKIPPED {TEST}: no tmpfs can be mounted: {}", reasons.join("; "));
}

/// Whether a tmpfs can be mounted in such a namespace.
fn trial(namespace: &str, folder: &Path) -> Result<(), String> {
    let output = Command::new("unshare")
        .args([namespace, "mount", "-t", "tmpfs", "none"])
        .arg(folder)
        .output()
        .map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

fn train(directory: &Path, run: &str, more: &[&str]) -> Output {
    let config = directory.join(format!("{}.toml", run.replace('/', "-")));
    fs::write(&config, support::config_text(directory, run)).unwrap();
    Command::new(env!("CARGO_BIN_EXE_diffusion"))
        .args(["train", &config.display().to_string(), "--device", "cpu"])
        .args(["--set", &format!("train.steps={STEPS}")])
        .args(["--set", &format!("train.checkpoint_every={CHECKPOINT_EVERY}")])
        .args(more)
        .env("OMP_NUM_THREADS", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn fill_the_disk(directory: &Path) {
    support::write_data(directory);
    let whole = train(directory, "whole", &[]);
    assert!(whole.status.success(), "{}", stderr(&whole));
    let run_bytes = bytes_below(&directory.join("whole"));
    let checkpoint_bytes = bytes_below(&directory.join("whole/checkpoints/step-000003"));
    assert!(run_bytes < DISK_BYTES, "{run_bytes} bytes do not fit on the disk");

    // From a disk that takes not even the configuration to one on which only the last files have no room: the write that
    // fails is another one each time.
    let room = |checkpoints: f64| (checkpoint_bytes as f64 * checkpoints) as u64;
    let curve_bytes = pages(fs::metadata(directory.join("whole/loss.svg")).unwrap().len());
    let before_curve = run_bytes - curve_bytes;
    let before_pipeline = before_curve - bytes_below(&directory.join("whole/pipeline"));
    let rooms =
        [0, 2 * PAGE, room(0.6), room(3.2), before_pipeline + 2 * PAGE, before_curve + 2 * PAGE];
    for (number, room) in rooms.into_iter().enumerate() {
        one_full_disk(directory, &format!("disk-{number}"), room);
    }
}

/// Trains on a disk with `room` bytes free until it is full, then makes room and resumes.
fn one_full_disk(directory: &Path, disk: &str, room: u64) {
    let mount = directory.join(disk);
    fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", &format!("size={DISK_BYTES}"), "none"])
        .arg(&mount)
        .status()
        .unwrap();
    assert!(mounted.success());
    let filler = mount.join("filler");
    fs::write(&filler, vec![1; (DISK_BYTES - room) as usize]).unwrap();

    let run = format!("{disk}/run");
    for (attempt, more) in [&[][..], &["--resume"][..]].into_iter().enumerate() {
        // Resuming without making room fails in the same way.
        let output = train(directory, &run, more);
        let message = stderr(&output);
        let case = format!("{room} bytes free, attempt {attempt}: {message}");
        assert_eq!(output.status.signal(), None, "{case}");
        assert_eq!(output.status.code(), Some(1), "{case}");
        assert!(message.contains("No space left on device"), "{case}");
        assert!(message.contains(&format!("{disk}/run")), "the file is not named: {case}");
        assert!(!message.contains("panicked"), "{case}");
        assert_checkpoints_are_whole(directory, disk, attempt);
        eprintln!("{room} bytes free: {}", message.lines().last().unwrap_or_default());
    }

    fs::remove_file(&filler).unwrap();
    let resumed = train(directory, &run, &["--resume"]);
    assert!(resumed.status.success(), "{}", stderr(&resumed));
    let last = format!("checkpoints/step-{STEPS:06}");
    for file in ["weights", "ema", "optimizer", "rng"] {
        let read = |run: &str| {
            fs::read(directory.join(run).join(&last).join(format!("{file}.safetensors"))).unwrap()
        };
        assert!(read("whole") == read(&run), "{file} differs after {room} bytes");
    }
    let lines = |run: &str| {
        let metrics = diffusion_train::read_metrics(&directory.join(run).join("metrics.jsonl"));
        metrics.unwrap().iter().map(|l| (l.step, l.loss, l.gradient_norm)).collect::<Vec<_>>()
    };
    assert_eq!(lines("whole"), lines(&run));
    let names = fs::read_dir(directory.join(&run)).unwrap();
    let left: Vec<_> = names
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with('.') && name != ".lock")
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(Command::new("umount").arg(&mount).status().unwrap().success());
}

/// `diffusion inspect` says whole of every checkpoint, and there is the one of each due step that the disk had room for.
fn assert_checkpoints_are_whole(directory: &Path, disk: &str, attempt: usize) {
    let run = directory.join(disk).join("run");
    if !run.join("config.toml").exists() {
        return; // the disk was full before the run began
    }
    let output = Command::new(env!("CARGO_BIN_EXE_diffusion"))
        .arg("inspect")
        .arg(&run)
        .arg("--json")
        .output()
        .unwrap();
    assert!(output.status.success(), "attempt {attempt}: {}", stderr(&output));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let checkpoints = found["checkpoints"].as_array().unwrap();
    for (index, checkpoint) in checkpoints.iter().rev().enumerate() {
        assert_eq!(checkpoint["state"], "whole", "{checkpoint}");
        assert_eq!(checkpoint["step"], (index as u64 + 1) * CHECKPOINT_EVERY);
    }
}

/// What a file of so many bytes takes on a tmpfs.
fn pages(bytes: u64) -> u64 {
    bytes.next_multiple_of(PAGE)
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| match entry.metadata().unwrap() {
            metadata if metadata.is_dir() => bytes_below(&entry.path()),
            metadata => pages(metadata.len()),
        })
        .sum()
}
