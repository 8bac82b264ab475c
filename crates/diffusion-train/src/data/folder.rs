//! A folder of pictures: a class for each sub-folder, in the order of their names.

use std::path::{Path, PathBuf};

use diffusion_math::KeyedNoise;
use image::{DynamicImage, ImageReader};
use rayon::prelude::*;
use tch::{Kind, Tensor};

use super::DataError;

/// The pictures of a folder, found but not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Folder {
    /// Names of the classes: of the sub-folders, or none where the pictures lie in the folder itself.
    pub(super) class_names: Vec<String>,
    /// Every picture with its class.
    pub(super) pictures: Vec<(PathBuf, u8)>,
}

/// What is taken for a picture; other files are passed over.
const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "webp"];

impl Folder {
    /// Looks for PNG, JPEG and WebP files; hidden ones are passed over.
    pub(super) fn find(path: &Path) -> Result<Self, DataError> {
        let (folders, pictures) = list(path)?;
        let fail = |reason: String| DataError::Format { path: path.to_owned(), reason };
        if folders.is_empty() {
            let pictures: Vec<_> = pictures.into_iter().map(|picture| (picture, 0)).collect();
            if pictures.is_empty() {
                return Err(fail(format!(
                    "no picture: expected files ending in {}",
                    EXTENSIONS.join(", ")
                )));
            }
            return Ok(Self { class_names: Vec::new(), pictures });
        }
        if let Some(stray) = pictures.first() {
            return Err(fail(format!(
                "both sub-folders and pictures: expected a sub-folder a class, found {}",
                stray.display()
            )));
        }
        let mut found = Self { class_names: Vec::new(), pictures: Vec::new() };
        for (index, folder) in folders.iter().enumerate() {
            let class = u8::try_from(index)
                .map_err(|_| fail(format!("{} classes: at most 256", folders.len())))?;
            let (_, pictures) = list(folder)?;
            if pictures.is_empty() {
                return Err(fail(format!("the class {} has no picture", folder.display())));
            }
            found
                .class_names
                .push(folder.file_name().unwrap_or_default().to_string_lossy().into_owned());
            found.pictures.extend(pictures.into_iter().map(|picture| (picture, class)));
        }
        Ok(found)
    }

    /// The pictures in an order that is mixed and always the same, so that any part of the set has all classes.
    pub(super) fn shuffled(mut self) -> Self {
        let order = KeyedNoise::new(0).permutation(0, self.pictures.len());
        self.pictures = order.into_iter().map(|i| self.pictures[i].clone()).collect();
        self
    }

    /// Reads all of them: the largest square in the middle, resized to `size × size`, bytes 0 … 255 as f32.
    ///
    /// # Shapes
    /// `[N, channels, size, size]`; 1 channel is grey, 3 are red, green, blue; transparency is dropped.
    pub(super) fn read(&self, channels: i64, size: i64) -> Result<Tensor, DataError> {
        let read = |(path, _): &(PathBuf, u8)| square(&decode(path)?, channels, size);
        let resized = self.pictures.par_iter().map(read).collect::<Result<Vec<_>, DataError>>()?;
        Ok(Tensor::f_cat(&resized, 0)?)
    }
}

fn list(path: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), DataError> {
    let io = |source| DataError::Io { path: path.to_owned(), source };
    let (mut folders, mut pictures) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(path).map_err(io)? {
        let entry = entry.map_err(io)?.path();
        let hidden = entry.file_name().is_none_or(|name| name.to_string_lossy().starts_with('.'));
        let extension = entry.extension().map(|e| e.to_string_lossy().to_ascii_lowercase());
        if hidden {
            continue;
        } else if entry.is_dir() {
            folders.push(entry);
        } else if extension.is_some_and(|e| EXTENSIONS.contains(&e.as_str())) {
            pictures.push(entry);
        }
    }
    // The system lists files in any order; the data's order is part of what makes a run reproducible.
    folders.sort();
    pictures.sort();
    Ok((folders, pictures))
}

fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let fail = |reason: String| DataError::Format { path: path.to_owned(), reason };
    let reader = ImageReader::open(path)
        .map_err(|source| DataError::Io { path: path.to_owned(), source })?;
    // By content: a JPEG called .png is a JPEG. The decoder's own limits refuse a header that asks for gigabytes.
    let reader = reader.with_guessed_format().map_err(|e| fail(e.to_string()))?;
    reader.decode().map_err(|e| fail(format!("not a whole picture: {e}")))
}

fn square(picture: &DynamicImage, channels: i64, size: i64) -> Result<Tensor, DataError> {
    let side = picture.width().min(picture.height());
    let (left, top) = ((picture.width() - side) >> 1, (picture.height() - side) >> 1);
    let cropped = picture.crop_imm(left, top, side, side);
    let bytes = if channels == 1 {
        cropped.into_luma8().into_raw()
    } else {
        cropped.into_rgb8().into_raw()
    };
    let side = i64::from(side);
    let pixels =
        Tensor::f_from_slice(&bytes)?.f_view([1, side, side, channels])?.f_permute([0, 3, 1, 2])?;
    super::images::resize(&pixels.f_to_kind(Kind::Float)?, size)
}
