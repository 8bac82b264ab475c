//! The classifier that judges samples: it learns, it is kept, and it knows its own data from others.

#![allow(clippy::unwrap_used)] // a test ends where it fails

mod support;

use diffusion_train::data::ImageDataset;
use diffusion_train::evaluation::Classifier;
use tch::Tensor;

fn data(directory: &std::path::Path) -> ImageDataset {
    support::write_data(directory);
    ImageDataset::from_idx(&directory.join("images.idx"), &directory.join("labels.idx"), 8).unwrap()
}

fn train(data: &ImageDataset) -> Classifier {
    Classifier::trained(data, diffusion_torch::testing::device(), &mut |_, _| {}).unwrap()
}

#[test]
fn it_learns_its_images_and_says_when_a_label_is_wrong() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(directory.path());
    let classifier = train(&data);
    let batch = data.batch(&(0..48).collect::<Vec<_>>(), tch::Device::Cpu).unwrap();
    let right = classifier.judge(&batch.x0, &batch.labels).unwrap();
    assert!(right.accuracy() > 0.5, "{right:?}: a third would be chance");
    let wrong: Tensor = (&batch.labels + 1).remainder(3);
    let wrong = classifier.judge(&batch.x0, &wrong).unwrap();
    assert!(wrong.correct + right.correct <= 48 && wrong.accuracy() < 0.5, "{wrong:?}");
    assert_eq!(classifier.test(&data).unwrap().shown, 5);
}

#[test]
fn it_is_kept_for_the_same_data_and_not_taken_for_others() {
    let directory = tempfile::tempdir().unwrap();
    let data = data(directory.path());
    let cache = directory.path().join("evaluation");
    let device = diffusion_torch::testing::device();
    let mut steps = 0;
    let first = Classifier::cached(&cache, &data, device, &mut |_, _| steps += 1).unwrap();
    assert!(steps > 0);
    let again =
        Classifier::cached(&cache, &data, device, &mut |_, _| panic!("it is kept")).unwrap();
    let batch = data.batch(&[0, 1, 2, 3, 4], device).unwrap();
    let judge = |c: &Classifier| c.judge(&batch.x0, &batch.labels).unwrap();
    assert_eq!(judge(&first), judge(&again));

    let path = directory.path().join("images.idx");
    let mut bytes = std::fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let other = ImageDataset::from_idx(&path, &directory.path().join("labels.idx"), 8).unwrap();
    assert_ne!(data.fingerprint().unwrap(), other.fingerprint().unwrap());
    let mut steps = 0;
    Classifier::cached(&cache, &other, device, &mut |_, _| steps += 1).unwrap();
    assert!(steps > 0);
}
