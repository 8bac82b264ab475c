//! A folder of pictures as data: classes by sub-folder, a fixed order, clear errors.

#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::fs;
use std::path::Path;

use diffusion_train::data::ImageDataset;
use image::{Rgb, RgbImage};

fn picture(path: &Path, width: u32, height: u32, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    RgbImage::from_pixel(width, height, Rgb(colour)).save(path).unwrap();
}

#[test]
fn sub_folders_are_classes_in_the_order_of_their_names() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for i in 0..6 {
        picture(&root.join(format!("reds/{i}.png")), 10, 8, [255, 0, 0]);
        picture(&root.join(format!("blues/{i}.png")), 8, 20, [0, 0, 255]);
    }
    fs::write(root.join("reds/notes.txt"), "not a picture").unwrap();
    fs::create_dir(root.join(".hidden")).unwrap();
    let data = ImageDataset::from_folder(root, 3, 4).unwrap();
    assert_eq!(data.class_names(), ["blues", "reds"]);
    assert_eq!((data.len(), data.n_classes(), data.image_shape()), (12, 2, [3, 4, 4]));
    let batch = data.batch(&(0..12).collect::<Vec<_>>(), tch::Device::Cpu).unwrap();
    let mut first_half = 0;
    for i in 0..12 {
        let label = batch.labels.int64_value(&[i]);
        let colour: Vec<f64> = (0..3).map(|c| batch.x0.double_value(&[i, c, 1, 2])).collect();
        assert_eq!(colour, if label == 0 { [-1.0, -1.0, 1.0] } else { [1.0, -1.0, -1.0] });
        first_half += if i < 6 { label } else { 0 };
    }
    assert!(
        (1..=5).contains(&first_half),
        "the order is not mixed: {first_half} of the first six are red"
    );
    let again = ImageDataset::from_folder(root, 3, 4).unwrap();
    assert_eq!(data.fingerprint().unwrap(), again.fingerprint().unwrap());
    assert_eq!(ImageDataset::from_folder(root, 1, 4).unwrap().image_shape(), [1, 4, 4]);
}

#[test]
fn the_square_in_the_middle_is_taken() {
    let directory = tempfile::tempdir().unwrap();
    let mut wide = RgbImage::from_pixel(12, 4, Rgb([0, 0, 0]));
    (4..8).for_each(|x| (0..4).for_each(|y| wide.put_pixel(x, y, Rgb([255, 255, 255]))));
    wide.save(directory.path().join("wide.png")).unwrap();
    let data = ImageDataset::from_folder(directory.path(), 1, 4).unwrap();
    assert!(data.class_names().is_empty() && data.n_classes() == 1);
    let batch = data.batch(&[0], tch::Device::Cpu).unwrap();
    assert!((batch.x0.min().double_value(&[]) - 1.0).abs() < 1e-6, "only the white square is seen");
}

#[test]
fn what_is_no_set_of_pictures_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let refused = |path: &Path| ImageDataset::from_folder(path, 3, 8).unwrap_err().to_string();
    assert!(refused(&root.join("nowhere")).contains("nowhere"));
    assert!(refused(root).contains("no picture"));
    fs::create_dir(root.join("empty")).unwrap();
    assert!(refused(root).contains("empty has no picture"));
    picture(&root.join("stray.png"), 4, 4, [0, 0, 0]);
    assert!(refused(root).contains("both sub-folders and pictures"));
    let damaged = tempfile::tempdir().unwrap();
    picture(&damaged.path().join("good.png"), 4, 4, [0, 0, 0]);
    let bytes = fs::read(damaged.path().join("good.png")).unwrap();
    fs::write(damaged.path().join("half.png"), &bytes[..bytes.len() - 20]).unwrap();
    assert!(refused(damaged.path()).contains("half.png"));
}
