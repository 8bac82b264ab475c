//! A configuration that cannot work is refused with file, line, key, value and what is allowed.

#![allow(clippy::unwrap_used)] // a test ends where it fails

mod support;

use std::fs;

use diffusion_train::RunConfig;
use support::config_text;

/// The message for a text, with overrides.
fn refused(text: &str, overrides: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("bad.toml");
    fs::write(&path, text).unwrap();
    let overrides: Vec<String> = overrides.iter().map(|s| (*s).to_owned()).collect();
    RunConfig::read(&path, &overrides).unwrap_err().to_string()
}

fn text() -> String {
    config_text("somewhere".as_ref(), "run")
}

fn line_of(text: &str, start: &str) -> usize {
    text.lines().position(|line| line.starts_with(start)).unwrap() + 1
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_known_ones() {
    let text = text().replace("batch_size = 5", "batch_size = 5\nbatchsize = 6");
    let message = refused(&text, &[]);
    let line = format!("line {}", line_of(&text, "batchsize"));
    for part in ["bad.toml", &line, "unknown field `batchsize`", "`batch_size`"] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn a_wrong_type_is_named_with_its_line() {
    let text = text().replace("batch_size = 5", "batch_size = \"five\"");
    let message = refused(&text, &[]);
    let line = format!("line {}", line_of(&text, "batch_size"));
    for part in ["bad.toml", &line, "batch_size", "\"five\""] {
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn impossible_values_are_named_with_key_line_and_what_is_allowed() {
    let cases = [
        ("steps = 12", "steps = 0", "train.steps = 0", "at least 1"),
        ("batch_size = 5", "batch_size = 0", "train.batch_size = 0", "at least 1"),
        (
            "checkpoint_every = 4",
            "checkpoint_every = 0",
            "train.checkpoint_every = 0",
            "at least 1",
        ),
        ("size = 8", "size = 8\npath = \"x\"", "data.path = given", "mnist has no such key"),
        ("kind = \"mnist\"", "kind = \"folder\"", "data.images = given", "folder has no such key"),
        ("size = 8", "size = 9", "data.size = 9", "multiple of 2"),
        ("size = 8", "size = -8", "data.size = -8", "1 to 4096"),
        (
            "learning_rate = 1e-3",
            "learning_rate = nan",
            "optimizer.learning_rate = NaN",
            "positive",
        ),
        ("class_dropout = 0.2", "class_dropout = 1.5", "objective.class_dropout = 1.5", "0 to 1"),
        ("decay = 0.9\n", "decay = 1.0\n", "ema.decay = 1", "[0, 1)"),
        ("norm_num_groups = 4", "norm_num_groups = 0", "model.unet2d.norm_num_groups = 0", "1 to"),
        ("dropout = 0.1\n", "dropout = 1.0\n", "model.unet2d.dropout = 1", "dropout < 1"),
        (
            "kind = \"linear\"",
            "kind = \"linear\"\nbeta_start = 0.1\nbeta_end = 1.0",
            "schedule",
            "0 < beta < 1",
        ),
        (
            "kind = \"linear\"",
            "kind = \"linear\"\nzero_terminal_snr = true",
            "objective.prediction = epsilon",
            "v_prediction",
        ),
    ];
    for (old, new, key, allowed) in cases {
        let changed = text().replace(old, new);
        assert_ne!(changed, text(), "{old} is not in the text");
        let message = refused(&changed, &[]);
        for part in [key, allowed, "bad.toml:"] {
            assert!(message.contains(part), "{old} → {new}: {message}");
        }
    }
}

#[test]
fn the_line_is_that_of_the_key() {
    let changed = text().replace("steps = 12", "steps = 0");
    let message = refused(&changed, &[]);
    assert!(
        message.contains(&format!("bad.toml:{}:", line_of(&changed, "steps = 0"))),
        "{message}"
    );
}

#[test]
fn overrides_are_checked_as_the_file_is() {
    for (given, part) in [
        ("train.steps=0", "train.steps = 0"),
        ("train.steps", "expected key.path=value"),
        ("=3", "key is empty"),
        ("train.stops=3", "unknown field `stops`"),
        ("train.steps=many", "many"),
        ("train.steps.more=3", "not a section"),
        ("objective.prediction=u", "u"),
    ] {
        let message = refused(&text(), &[given]);
        assert!(message.contains("--set") && message.contains(part), "{given}: {message}");
    }
}

#[test]
fn resolved_and_read_again_a_configuration_is_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let first = support::config(directory.path(), "run", &["train.steps=7", "run.dir=elsewhere"]);
    assert_eq!((first.train.steps, first.run.dir.to_str()), (7, Some("elsewhere")));
    let path = directory.path().join("resolved.toml");
    fs::write(&path, first.to_toml()).unwrap();
    assert_eq!(RunConfig::read(&path, &[]).unwrap(), first);
}
