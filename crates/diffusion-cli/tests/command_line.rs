//! The command line's contract: exit codes, what is written where, that a kill loses nothing.

#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

#[path = "../../diffusion-train/tests/support/mod.rs"]
mod support;

fn diffusion() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_diffusion"));
    // The networks are tiny: a second thread would only wait for the first.
    command.stdin(Stdio::null()).env("OMP_NUM_THREADS", "1");
    command
}

fn run(arguments: &[&str]) -> Output {
    diffusion().args(arguments).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[track_caller]
fn succeeds(arguments: &[&str]) -> Output {
    let output = run(arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    output
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, part: &str) {
    let output = run(arguments);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {message}");
    assert!(message.contains(part), "{arguments:?}: {message} does not say {part}");
    assert!(!message.contains("panicked"), "{message}");
}

fn fixture(path: &str) -> String {
    let root: PathBuf = [env!("CARGO_MANIFEST_DIR"), "../../fixtures"].iter().collect();
    root.join(path).display().to_string()
}

/// A copy of a fixture's file in which one byte of a tensor's data is another.
fn with_one_byte_changed(path: &str, directory: &Path, tensor: &str) -> String {
    let mut bytes = fs::read(path).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header: serde_json::Value = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
    let start = header[tensor]["data_offsets"][0].as_u64().unwrap() as usize;
    // The exponent's byte of the third number: a change that rounding does not hide.
    bytes[8 + length + start + 11] ^= 0x01;
    let copy = directory.join("changed.safetensors");
    fs::write(&copy, bytes).unwrap();
    copy.display().to_string()
}

#[test]
fn forward_checks_a_model_against_its_fixture_and_notices_one_byte() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["unet2d-ddpm", "unet2d-class"] {
        let model = fixture(&format!("models/{name}"));
        let io = format!("{model}/io.safetensors");
        let output = succeeds(&["forward", &model, "--io", &io, "--check", "1e-4"]);
        assert!(stdout(&output).contains("out.sample: max abs difference"));
        let changed = with_one_byte_changed(&io, directory.path(), "in.sample");
        fails(
            &["forward", &model, "--io", &changed, "--check", "1e-4"],
            1,
            "out.sample differs by",
        );
        let changed = with_one_byte_changed(&io, directory.path(), "out.sample");
        fails(&["forward", &model, "--io", &changed, "--check", "1e-4"], 1, "out.sample");
    }
}

#[test]
fn forward_writes_what_it_then_accepts() {
    let directory = tempfile::tempdir().unwrap();
    let model = fixture("models/unet2d-ddpm");
    let io = format!("{model}/io.safetensors");
    let out = directory.path().join("out.safetensors").display().to_string();
    succeeds(&["forward", &model, "--io", &io, "--out", &out]);
    fails(&["forward", &model, "--io", &out, "--check", "1e-4"], 1, "sample");
    let json = succeeds(&["forward", &model, "--io", &io, "--check", "1", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&stdout(&json)).unwrap();
    assert!(json["max_abs_difference"]["out.sample"].as_f64().unwrap() < 1e-4);
    fails(&["forward", &model, "--io", &io, "--check", "-1"], 2, "--check");
    fails(&["forward", &model, "--io", "nowhere.safetensors"], 1, "nowhere.safetensors");
    fails(&["forward", "nowhere", "--io", &io], 1, "nowhere");
}

#[test]
fn sample_gives_diffusers_numbers_and_the_same_bytes_twice() {
    let directory = tempfile::tempdir().unwrap();
    let pipeline = fixture("pipelines/ddim-pixel");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let expected = format!("{pipeline}/expected.safetensors");
    let out = path("out.safetensors");
    succeeds(&[
        "sample",
        &pipeline,
        "--init-latents",
        &expected,
        "--steps",
        "8",
        "--eta",
        "0",
        "-o",
        &out,
    ]);
    let difference = |name: &str| {
        let read = |path: &str| {
            diffusion_models::read_tensors(path.as_ref()).unwrap().remove(name).unwrap()
        };
        (read(&out) - read(&expected)).abs().max().double_value(&[])
    };
    assert!(difference("latents") <= 2e-3 && difference("image") <= 5e-3);

    let changed = with_one_byte_changed(&expected, directory.path(), "init_latents");
    succeeds(&["sample", &pipeline, "--init-latents", &changed, "--steps", "8", "-o", &out]);
    assert!(difference("latents") > 2e-3);

    for name in ["a.png", "b.png"] {
        succeeds(&[
            "sample",
            &pipeline,
            "-n",
            "3",
            "--steps",
            "3",
            "--seed",
            "5",
            "-o",
            &path(name),
        ]);
    }
    assert!(fs::read(path("a.png")).unwrap() == fs::read(path("b.png")).unwrap());
    succeeds(&[
        "sample",
        &pipeline,
        "-n",
        "3",
        "--steps",
        "3",
        "--seed",
        "6",
        "-o",
        &path("b.png"),
    ]);
    assert!(fs::read(path("a.png")).unwrap() != fs::read(path("b.png")).unwrap());
    succeeds(&["sample", &pipeline, "-n", "3", "--steps", "3", "-o", &path("each")]);
    assert_eq!(fs::read_dir(path("each")).unwrap().count(), 3);
}

#[test]
fn sample_refuses_what_the_pipeline_does_not_have() {
    let pipeline = fixture("pipelines/ddim-pixel");
    fails(&["sample", &pipeline, "--class", "3"], 2, "no classes");
    fails(&["sample", &pipeline, "--eta", "-1"], 2, "eta");
    fails(&["sample", &pipeline, "--steps", "0"], 2, "0");
    fails(&["sample", &pipeline, "--sampler", "magic"], 2, "magic");
    fails(&["sample", &pipeline, "--sampler", "ddpm", "--eta", "1"], 2, "eta");
    fails(&["sample", &pipeline, "-n", "0"], 2, "1 to 1048576");
    fails(&["sample", &pipeline, "-n", "18446744073709551615"], 2, "1 to 1048576");
    fails(&["sample", &pipeline, "-o", "picture.jpeg"], 2, ".jpeg");
    fails(&["sample", "nowhere"], 2, "nowhere");
    fails(&["sample", &fixture("models")], 1, "model_index.json");
    fails(&["sample", &pipeline, "--device", "gpu"], 2, "gpu");
    fails(&["sample", &pipeline, "--device", "cuda:99"], 2, "cuda:99");
    fails(&["sample"], 2, "DIR");
    fails(&["simple"], 2, "simple");
}

/// A configuration file of a tiny run below a directory with its data.
fn tiny_run(directory: &Path, run: &str) -> String {
    support::write_data(directory);
    let path = directory.join(format!("{run}.toml"));
    fs::write(&path, support::config_text(directory, run)).unwrap();
    path.display().to_string()
}

#[test]
fn a_run_is_trained_inspected_and_sampled() {
    let directory = tempfile::tempdir().unwrap();
    let config = tiny_run(directory.path(), "run");
    let run_dir = directory.path().join("run");
    let at = |path: &str| run_dir.join(path);

    let resolved = succeeds(&["train", &config, "--dry-run", "--set", "train.steps=5"]);
    assert!(stdout(&resolved).contains("steps = 5"));
    assert!(!run_dir.exists());

    let trained = stdout(&succeeds(&["train", &config, "--device", "cpu"]));
    assert!(trained.contains("12 steps done") && trained.contains("pipeline"), "{trained}");
    for path in [
        "config.toml",
        "metrics.jsonl",
        "loss.svg",
        "pipeline/model_index.json",
        "checkpoints/step-000012/state.json",
    ] {
        assert!(at(path).is_file(), "{path}");
    }
    assert_eq!(fs::read_to_string(at("metrics.jsonl")).unwrap().lines().count(), 12);

    fails(&["train", &config], 2, "not empty");
    succeeds(&["train", &config, "--resume"]);
    fails(&["train", &config, "--resume", "--set", "train.seed=9"], 2, "train.seed");

    let run_path = run_dir.display().to_string();
    let inspected = stdout(&succeeds(&["inspect", &run_path, "--json"]));
    let inspected: serde_json::Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["steps_logged"], 12);
    assert_eq!(inspected["checkpoints"][0]["state"], "whole");
    assert_eq!(inspected["pipeline"]["classes"], 3);
    assert_eq!(inspected["pipeline"]["unet"]["config"]["num_class_embeds"], 4);

    let evaluated = succeeds(&["evaluate", &run_path, "-n", "6", "--steps", "2", "--json"]);
    let evaluated: serde_json::Value = serde_json::from_str(&stdout(&evaluated)).unwrap();
    assert_eq!(
        (&evaluated["samples"], &evaluated["classifier_test_images"]),
        (&6.into(), &5.into())
    );
    assert!(at("evaluation").is_dir());
    fails(&["evaluate", &run_path, "-n", "0"], 2, "1 to 1048576");
    fails(&["evaluate", &run_path, "--guidance", "nan"], 2, "--guidance");
    fails(&["evaluate", &at("pipeline").display().to_string()], 2, "config.toml");

    let out = directory.path().join("grid.png").display().to_string();
    succeeds(&[
        "sample",
        &run_path,
        "--class",
        "0,1,2",
        "--guidance",
        "2",
        "--steps",
        "4",
        "-o",
        &out,
    ]);
    let picture = image::open(&out).unwrap();
    assert_eq!((picture.width(), picture.height()), (16, 16));
    succeeds(&["sample", &run_path, "--steps", "2"]);
    assert!(at("samples/seed-0.png").is_file());
    fails(&["sample", &run_path, "--class", "3"], 2, "0 to 2");
    fails(&["sample", &run_path, "--class", "0,1", "-n", "3"], 2, "2 values");
    fails(&["sample", &run_path, "--guidance", "2"], 2, "guidance needs a class");
}

#[test]
fn data_that_is_absent_or_damaged_ends_the_run_before_it_begins() {
    let directory = tempfile::tempdir().unwrap();
    let config = tiny_run(directory.path(), "run");
    let images = directory.path().join("images.idx");
    let whole = fs::read(&images).unwrap();
    let mut wrong_magic = whole.clone();
    wrong_magic[2] = 9;
    for (bytes, part) in [
        (Some(whole[..whole.len() - 1].to_vec()), "images.idx"),
        (Some(wrong_magic), "magic number"),
        (None, "images.idx"),
    ] {
        match bytes {
            Some(bytes) => fs::write(&images, bytes).unwrap(),
            None => fs::remove_file(&images).unwrap(),
        }
        fails(&["train", &config], 1, part);
        assert!(!directory.path().join("run").exists());
    }
    fails(&["train", "nowhere.toml"], 2, "nowhere.toml");
    fails(
        &["train", &config, "--set", "schedule.beta_start=0.1", "--set", "schedule.beta_end=1.0"],
        2,
        "beta",
    );
    fails(&["train", &config, "--device", "cuda:99"], 2, "cuda:99");
}

#[test]
fn killed_in_the_middle_it_resumes_to_the_same_bits() {
    let directory = tempfile::tempdir().unwrap();
    let whole = tiny_run(directory.path(), "whole");
    let killed = tiny_run(directory.path(), "killed");
    let steps = ["--set", "train.steps=60", "--set", "train.checkpoint_every=7"];
    succeeds(&[&["train", &whole][..], &steps].concat());

    let mut child = diffusion()
        .args([&["train", &killed][..], &steps].concat())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let first = directory.path().join("killed/checkpoints/step-000007");
    let begun = Instant::now();
    while !first.exists() && child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < Duration::from_secs(120), "no checkpoint after two minutes");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    succeeds(&[&["train", &killed, "--resume"][..], &steps].concat());
    for file in ["weights.safetensors", "ema.safetensors", "optimizer.safetensors"] {
        let read = |run: &str| {
            fs::read(directory.path().join(run).join("checkpoints/step-000060").join(file)).unwrap()
        };
        assert!(read("whole") == read("killed"), "{file} differs");
    }
}

#[test]
fn a_signal_writes_a_checkpoint_and_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let config = tiny_run(directory.path(), "run");
    let child = long_run(&config, directory.path(), Stdio::piped());
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("go on with --resume"), "{}", stderr(&output));
    let checkpoints = fs::read_dir(directory.path().join("run/checkpoints")).unwrap().count();
    assert_eq!(checkpoints, 1);
}

#[test]
fn doctor_says_what_is_used() {
    let output = succeeds(&["doctor", "--json"]);
    let found: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(found["version_fits"], true);
    assert!(found["libtorch"].as_str().unwrap().contains("libtorch"));
    assert!(stdout(&succeeds(&["doctor"])).contains("device"));
}

#[test]
fn no_directory_but_a_runs_own_is_touched() {
    let directory = tempfile::tempdir().unwrap();
    let config = tiny_run(directory.path(), "run");
    fails(&["train", &config, "--set", "run.dir="], 2, "run.dir");
    let mine = directory.path().join("other/pipeline/mine");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "mine").unwrap();
    let other = format!("run.dir={}", directory.path().join("other").display());
    fails(&["train", &config, "--resume", "--set", &other], 2, "not a run's directory");
    assert_eq!(fs::read_to_string(&mine).unwrap(), "mine");
    let file = format!("run.dir={}", directory.path().join("images.idx").display());
    fails(&["train", &config, "--set", &file], 2, "not a directory");

    succeeds(&["train", &config]);
    fs::remove_file(directory.path().join("run/config.toml")).unwrap();
    fails(&["train", &config, "--resume", "--set", "train.seed=9"], 2, "no config.toml");
}

/// Starts a run that takes long, and waits for its first report.
fn long_run(config: &str, directory: &Path, stderr: Stdio) -> std::process::Child {
    let child = diffusion()
        .args([
            "train",
            config,
            "--set",
            "train.steps=100000",
            "--set",
            "train.checkpoint_every=100000",
        ])
        .stdout(Stdio::null())
        .stderr(stderr)
        .spawn()
        .unwrap();
    let metrics = directory.join("run/metrics.jsonl");
    let begun = Instant::now();
    while fs::metadata(&metrics).map_or(true, |m| m.len() == 0) {
        assert!(begun.elapsed() < Duration::from_secs(120), "no step after two minutes");
        std::thread::sleep(Duration::from_millis(5));
    }
    child
}

#[test]
fn two_processes_do_not_share_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let config = tiny_run(directory.path(), "run");
    let mut child = long_run(&config, directory.path(), Stdio::null());
    let long = ["--set", "train.steps=100000", "--set", "train.checkpoint_every=100000"];
    fails(&[&["train", &config, "--resume"][..], &long].concat(), 2, "another process");
    assert!(child.try_wait().unwrap().is_none(), "the first goes on");
    child.kill().unwrap();
    child.wait().unwrap();
    // The lock of a killed process is gone with it.
    succeeds(&["train", &config, "--resume"]);
}

#[test]
fn a_closed_terminal_does_not_end_training_in_a_panic() {
    let directory = tempfile::tempdir().unwrap();
    let config = tiny_run(directory.path(), "run");
    let mut child = long_run(&config, directory.path(), Stdio::piped());
    drop(child.stderr.take());
    // The message about the signal has nowhere to go; the checkpoint is written all the same.
    let killed = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(fs::read_dir(directory.path().join("run/checkpoints")).unwrap().count(), 1);
}

#[test]
fn a_loss_beyond_all_sense_does_not_hang_the_curve() {
    let directory = tempfile::tempdir().unwrap();
    let config = tiny_run(directory.path(), "run");
    succeeds(&["train", &config]);
    let metrics = directory.path().join("run/metrics.jsonl");
    let text = fs::read_to_string(&metrics).unwrap();
    let line = r#"{"step":1,"loss":1e308,"gradient_norm":1.0,"learning_rate":0.1,"seconds":1.0}"#;
    fs::write(&metrics, format!("{line}\n{line}\n{text}")).unwrap();
    succeeds(&["train", &config, "--resume"]);
}

#[test]
fn networks_that_cannot_be_are_refused_when_the_configuration_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let config = tiny_run(directory.path(), "run");
    for (given, part) in [
        ("model.unet2d.norm_num_groups=3", "norm_num_groups"),
        ("model.unet2d.attention_head_dim=5", "attention_head_dim"),
        ("model.unet2d.time_embedding_type=fourier", "time_embedding_type"),
        ("model.unet2d.freq_shift=nan", "freq_shift"),
        ("model.unet2d.block_out_channels=[1048576,1048576]", "block_out_channels"),
    ] {
        fails(&["train", &config, "--dry-run", "--set", given], 2, part);
    }
    let learned =
        ["model.unet2d.time_embedding_type=learned", "model.unet2d.num_train_timesteps=10"];
    fails(
        &["train", &config, "--dry-run", "--set", learned[0], "--set", learned[1]],
        2,
        "at least schedule.n_steps = 100",
    );
}
