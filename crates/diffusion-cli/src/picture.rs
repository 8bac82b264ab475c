//! Tensors as PNG files: one picture, or a grid of them.

use std::path::Path;

use anyhow::{Context, bail};
use image::{GrayImage, RgbImage};
use tch::{Kind, Tensor};

/// Writes `[N, C, H, W]` in [0, 1] as one near-square grid, row by row, each pixel `scale × scale` large.
pub(crate) fn write_grid(path: &Path, images: &Tensor, scale: u32) -> anyhow::Result<()> {
    let [n, c, h, w] = shape(images)?;
    let columns = (n as f64).sqrt().ceil().max(1.0) as usize;
    let rows = n.div_ceil(columns).max(1);
    let bytes = to_bytes(images)?;
    let scale = scale.max(1) as usize;
    let (height, width) = (rows * h * scale, columns * w * scale);
    let mut pixels = vec![0u8; height * width * c];
    for (i, image) in bytes.chunks_exact((c * h * w).max(1)).enumerate() {
        let (top, left) = (i.div_euclid(columns) * h * scale, i.rem_euclid(columns) * w * scale);
        for y in 0..h * scale {
            for x in 0..w * scale {
                for channel in 0..c {
                    let from = channel * h * w + y.div_euclid(scale) * w + x.div_euclid(scale);
                    pixels[((top + y) * width + left + x) * c + channel] = image[from];
                }
            }
        }
    }
    write_png(path, pixels, width, height, c)
}

/// Writes `[N, C, H, W]` in [0, 1] as `0000.png`, `0001.png` … into a directory; returns the files.
pub(crate) fn write_each(
    directory: &Path,
    images: &Tensor,
) -> anyhow::Result<Vec<std::path::PathBuf>> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("cannot create {}", directory.display()))?;
    let [n, ..] = shape(images)?;
    (0..n)
        .map(|i| {
            let path = directory.join(format!("{i:04}.png"));
            write_grid(&path, &images.f_narrow(0, i as i64, 1)?, 1)?;
            Ok(path)
        })
        .collect()
}

fn shape(images: &Tensor) -> anyhow::Result<[usize; 4]> {
    let (n, c, h, w) = images.size4()?;
    Ok([n as usize, c as usize, h as usize, w as usize])
}

/// `round(255·x)`, in the order N, C, H, W.
fn to_bytes(images: &Tensor) -> anyhow::Result<Vec<u8>> {
    let rounded =
        images.f_mul_scalar(255.0)?.f_round()?.f_clamp(0.0, 255.0)?.f_to_kind(Kind::Uint8)?;
    Ok(diffusion_torch::host::to_vec(&rounded.f_contiguous()?)?)
}

fn write_png(
    path: &Path,
    pixels: Vec<u8>,
    width: usize,
    height: usize,
    channels: usize,
) -> anyhow::Result<()> {
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
    let fits = "as many pixels as the picture has";
    match channels {
        1 => GrayImage::from_raw(width, height, pixels).expect(fits).save(path),
        3 => RgbImage::from_raw(width, height, pixels).expect(fits).save(path),
        other => bail!("a picture has 1 or 3 channels, these samples have {other}: write a .safetensors file instead"),
    }
    .with_context(|| format!("cannot write {}", path.display()))
}
