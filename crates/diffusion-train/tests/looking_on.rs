//! Looking into a run while it is written leaves it alone.

#![allow(clippy::unwrap_used)] // a test ends where it fails

mod support;

use std::fs;

use diffusion_train::{Checkpoint, Start, TrainingRun};
use support::{config, train, write_data};

#[test]
fn listing_checkpoints_leaves_the_one_that_is_being_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write_data(path);
    let run = train(config(path, "run", &[]), Start::Fresh, |now| now.step == 4);
    let half = path.join("run/checkpoints/.writing-step-000008");
    fs::create_dir(&half).unwrap();
    let half_file = path.join("run/.writing-metrics.jsonl");
    fs::write(&half_file, b"half").unwrap();
    let listed = Checkpoint::list(run.directory()).unwrap();
    assert_eq!(listed.iter().map(Checkpoint::step).collect::<Vec<_>>(), [4]);
    assert!(half.exists() && half_file.exists());
    drop(run);

    let device = diffusion_torch::testing::device();
    TrainingRun::open(config(path, "run", &[]), Start::Resume, device).unwrap();
    assert!(!half.exists() && !half_file.exists(), "what a crash left is removed on resuming");
}
