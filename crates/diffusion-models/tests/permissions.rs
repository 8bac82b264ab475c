//! A weight file can be read by whom any other new file can be read by.

#![cfg(unix)]
#![allow(clippy::unwrap_used)] // a test ends where it fails

use std::os::unix::fs::PermissionsExt;

use diffusion_models::write_tensors;
use tch::Tensor;

#[test]
fn weights_have_the_permissions_of_any_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let (weights, other) = (directory.path().join("w.safetensors"), directory.path().join("other"));
    write_tensors(&weights, [("x", &Tensor::from_slice(&[1f32]))]).unwrap();
    std::fs::write(&other, b"x").unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&weights), mode(&other));
}
