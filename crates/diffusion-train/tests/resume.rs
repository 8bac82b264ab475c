//! A run that dies and resumes ends exactly as one that did not die.

#![allow(clippy::unwrap_used)] // a test ends where it fails

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use diffusion_train::{Start, TrainError, TrainingRun, read_metrics};
use support::{alone, config, train, write_data};

const FILES: [&str; 5] = [
    "weights.safetensors",
    "ema.safetensors",
    "optimizer.safetensors",
    "rng.safetensors",
    "state.json",
];

fn checkpoint(directory: &Path, run: &str, step: u64) -> PathBuf {
    directory.join(run).join("checkpoints").join(format!("step-{step:06}"))
}

fn assert_same_checkpoint(directory: &Path, a: &str, b: &str, step: u64) {
    for file in FILES {
        let read = |run| fs::read(checkpoint(directory, run, step).join(file)).unwrap();
        assert!(read(a) == read(b), "{file} of step {step} differs between {a} and {b}");
    }
}

fn assert_same_metrics(directory: &Path, a: &str, b: &str) {
    let read = |run: &str| {
        let lines = read_metrics(&directory.join(run).join("metrics.jsonl")).unwrap();
        lines.iter().map(|l| (l.step, l.loss, l.gradient_norm, l.learning_rate)).collect::<Vec<_>>()
    };
    assert_eq!(read(a), read(b));
    assert_eq!(read(a).iter().map(|l| l.0).collect::<Vec<_>>(), (1..=12).collect::<Vec<_>>());
}

#[test]
fn killed_at_any_step_and_resumed_it_is_bit_identical() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_data(path);
    train(config(path, "whole", &[]), Start::Fresh, |_| false);
    for (i, deaths) in [vec![1], vec![4], vec![6, 11], vec![3, 5, 9, 11]].into_iter().enumerate() {
        let name = format!("killed-{i}");
        let mut start = Start::Fresh;
        for death in deaths {
            // The run is dropped without a word, as a killed process drops it.
            drop(train(config(path, &name, &[]), start, |now| now.step == death));
            start = Start::Resume;
        }
        train(config(path, &name, &[]), Start::Resume, |_| false);
        for step in [4, 8, 12] {
            assert_same_checkpoint(path, "whole", &name, step);
        }
        assert_same_metrics(path, "whole", &name);
        let weights = |run: &str| {
            fs::read(path.join(run).join("pipeline/unet/diffusion_pytorch_model.safetensors"))
                .unwrap()
        };
        assert!(weights("whole") == weights(&name));
    }
}

#[test]
fn another_seed_gives_other_weights() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    write_data(directory.path());
    for (name, seed) in [("a", "train.seed=3"), ("b", "train.seed=4")] {
        train(config(directory.path(), name, &[seed, "train.steps=1"]), Start::Fresh, |_| false);
    }
    let weights =
        |run| fs::read(checkpoint(directory.path(), run, 1).join("weights.safetensors")).unwrap();
    assert!(weights("a") != weights("b"));
}

#[test]
fn a_damaged_checkpoint_is_passed_over_and_said_so() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_data(path);
    train(config(path, "whole", &[]), Start::Fresh, |_| false);
    type Damage = fn(&Path);
    let flip: Damage = |checkpoint| {
        let file = checkpoint.join("optimizer.safetensors");
        let mut bytes = fs::read(&file).unwrap();
        let middle = bytes.len() >> 1;
        bytes[middle] ^= 1;
        fs::write(&file, bytes).unwrap();
    };
    let cut: Damage = |checkpoint| {
        let file = checkpoint.join("ema.safetensors");
        let bytes = fs::read(&file).unwrap();
        fs::write(&file, &bytes[..bytes.len() - 7]).unwrap();
    };
    let lose: Damage = |checkpoint| fs::remove_file(checkpoint.join("state.json")).unwrap();
    for (name, damage) in [("flip", flip), ("cut", cut), ("lose", lose)] {
        train(config(path, name, &[]), Start::Fresh, |now| now.step == 10);
        damage(&checkpoint(path, name, 8));
        let device = diffusion_torch::testing::device();
        let (run, opened) =
            TrainingRun::open(config(path, name, &[]), Start::Resume, device).unwrap();
        assert_eq!(opened.step, 4, "{name}");
        assert_eq!(opened.damaged.len(), 1, "{name}");
        assert_eq!(opened.damaged[0].path, checkpoint(path, name, 8));
        drop(run);
        train(config(path, name, &[]), Start::Resume, |_| false);
        assert_same_checkpoint(path, "whole", name, 8);
        assert_same_checkpoint(path, "whole", name, 12);
    }
}

#[test]
fn a_half_written_checkpoint_is_not_one() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_data(path);
    train(config(path, "run", &[]), Start::Fresh, |now| now.step == 4);
    let half = path.join("run/checkpoints/.writing-step-000008");
    fs::create_dir(&half).unwrap();
    fs::write(half.join("weights.safetensors"), b"half").unwrap();
    let device = diffusion_torch::testing::device();
    let (_, opened) = TrainingRun::open(config(path, "run", &[]), Start::Resume, device).unwrap();
    assert_eq!((opened.step, opened.damaged.len()), (4, 0));
    assert!(!half.exists());
}

#[test]
fn a_finished_run_completes_what_is_missing() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_data(path);
    train(config(path, "run", &[]), Start::Fresh, |_| false);
    let weights = path.join("run/pipeline/unet/diffusion_pytorch_model.safetensors");
    let before = fs::read(&weights).unwrap();
    fs::remove_dir_all(path.join("run/pipeline")).unwrap();
    train(config(path, "run", &[]), Start::Resume, |_| panic!("there is no step left"));
    assert!(fs::read(&weights).unwrap() == before);
}

#[test]
fn what_may_change_on_resume_and_what_may_not() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_data(path);
    train(config(path, "run", &[]), Start::Fresh, |now| now.step == 5);
    let device = diffusion_torch::testing::device();
    let open = |overrides: &[&str], start| {
        TrainingRun::open(config(path, "run", overrides), start, device)
    };
    let longer =
        open(&["train.steps=20", "train.checkpoint_every=3", "sampling.steps=7"], Start::Resume);
    assert_eq!(longer.unwrap().1.step, 4);
    match open(&["train.batch_size=6", "optimizer.learning_rate=0.1"], Start::Resume) {
        Err(TrainError::Contradiction { keys, .. }) => {
            assert_eq!(keys.len(), 2, "{keys:?}");
            assert!(
                keys[0].contains("optimizer.learning_rate") && keys[1].contains("train.batch_size"),
                "{keys:?}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(open(&[], Start::Fresh), Err(TrainError::NotEmpty { .. })));
    assert!(matches!(
        open(&["train.steps=2"], Start::Resume),
        Err(TrainError::StepsDone { asked: 2, done: 4 })
    ));
    assert!(matches!(
        TrainingRun::open(config(path, "fresh", &[]), Start::Resume, device),
        Ok((_, opened)) if opened.step == 0
    ));
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_good_checkpoint() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_data(path);
    let overrides = [
        "optimizer.learning_rate=1e30",
        "optimizer.warmup_steps=0",
        "train.steps=40",
        "train.checkpoint_every=1",
    ];
    let device = diffusion_torch::testing::device();
    let (mut run, _) =
        TrainingRun::open(config(path, "run", &overrides), Start::Fresh, device).unwrap();
    let error = loop {
        match run.advance(&|| 0.0) {
            Ok(Some(_)) => {}
            Ok(None) => panic!("a learning rate of 1e30 cannot work"),
            Err(error) => break error,
        }
    };
    let TrainError::Diverged { step, last, .. } = &error else { panic!("{error}") };
    assert_eq!(last.as_deref(), Some(checkpoint(path, "run", step - 1).as_path()));
    assert!(error.to_string().contains("learning_rate"));
}
