//! A labelled set of images, held in memory.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::folder::Folder;
use super::{DataError, IdxFile};

/// Images in [−1, 1] with a class each.
#[derive(Debug)]
pub struct ImageDataset {
    /// `[N, C, H, W]`, f32, on the CPU.
    images: Tensor,
    /// `[N]`, 0 … n_classes − 1.
    labels: Tensor,
    n_classes: i64,
    class_names: Vec<String>,
}

/// A batch on the device.
#[derive(Debug)]
pub struct Batch {
    /// `[B, C, H, W]` in [−1, 1].
    pub x0: Tensor,
    /// `[B]`, 0 … n_classes − 1.
    pub labels: Tensor,
}

impl ImageDataset {
    /// Reads an MNIST-like pair of IDX files and resizes the images to `size × size`, bilinear with antialiasing.
    ///
    /// A byte y becomes `y/127.5 − 1`, so that black is −1 and white is 1.
    ///
    /// # Errors
    /// Where a file is absent or damaged, the two hold different counts, or there is no image.
    pub fn from_idx(images: &Path, labels: &Path, size: i64) -> Result<Self, DataError> {
        let pixels = IdxFile::read(images, 3)?;
        let classes = IdxFile::read(labels, 1)?;
        let count = pixels.dimensions[0];
        let fail =
            |path: &Path, reason: String| DataError::Format { path: path.to_owned(), reason };
        if count != classes.dimensions[0] {
            let reason = format!(
                "{} labels for the {count} images of {}",
                classes.dimensions[0],
                images.display()
            );
            return Err(fail(labels, reason));
        }
        if pixels.values.is_empty() {
            return Err(fail(
                images,
                format!("no image: its dimensions are {:?}", pixels.dimensions),
            ));
        }
        let shape = [count as i64, 1, pixels.dimensions[1] as i64, pixels.dimensions[2] as i64];
        let bytes = Tensor::f_from_slice(&pixels.values)?.f_view(shape)?.f_to_kind(Kind::Float)?;
        let images = to_unit(&resize(&bytes, size)?)?;
        let n_classes = classes.values.iter().max().map_or(0, |&c| i64::from(c) + 1);
        let labels = Tensor::f_from_slice(&classes.values)?.f_to_kind(Kind::Int64)?;
        Ok(Self { images, labels, n_classes, class_names: Vec::new() })
    }

    /// Reads the PNG, JPEG and WebP files of a folder, a class for each sub-folder in the order of their names; pictures
    /// that lie in the folder itself are one class. Of each picture the largest square in the middle is taken, and resized
    /// to `size × size`, bilinear with antialiasing; 1 channel is grey, 3 are red, green, blue.
    ///
    /// The pictures are mixed, always alike, so that any part of the set has all classes.
    ///
    /// # Errors
    /// Where the folder is absent, has no picture, has both sub-folders and pictures, or one of them is damaged.
    pub fn from_folder(path: &Path, channels: i64, size: i64) -> Result<Self, DataError> {
        let folder = Folder::find(path)?.shuffled();
        let images = to_unit(&folder.read(channels, size)?)?;
        let classes: Vec<u8> = folder.pictures.iter().map(|(_, class)| *class).collect();
        let labels = Tensor::f_from_slice(&classes)?.f_to_kind(Kind::Int64)?;
        let n_classes = folder.class_names.len().max(1) as i64;
        Ok(Self { images, labels, n_classes, class_names: folder.class_names })
    }

    /// How many images there are.
    pub fn len(&self) -> usize {
        self.images.size()[0] as usize
    }

    /// Whether there is none; a reader refuses such a set.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Channels, height and width of one image.
    pub fn image_shape(&self) -> [i64; 3] {
        let size = self.images.size();
        [size[1], size[2], size[3]]
    }

    /// One more than the largest label.
    pub fn n_classes(&self) -> i64 {
        self.n_classes
    }

    /// The names of the classes, where they have any.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// A number that other images or labels do not share.
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn fingerprint(&self) -> Result<u64, DataError> {
        use sha2::{Digest, Sha256};
        let mut hash = Sha256::new();
        for tensor in [&self.images, &self.labels] {
            hash.update(format!("{:?}", tensor.size()));
            hash.update(&*diffusion_torch::host::bytes(tensor)?);
        }
        let digest = hash.finalize();
        Ok(digest.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// The images of these indices, on `device`.
    ///
    /// # Errors
    /// Where an index is out of range or the device fails.
    pub fn batch(&self, indices: &[usize], device: Device) -> Result<Batch, DataError> {
        let indices: Vec<i64> = indices.iter().map(|&i| i as i64).collect();
        let indices = Tensor::f_from_slice(&indices)?;
        let x0 = self.images.f_index_select(0, &indices)?.f_to_device(device)?;
        let labels = self.labels.f_index_select(0, &indices)?.f_to_device(device)?;
        Ok(Batch { x0, labels })
    }
}

/// Resizes `[N, C, H, W]` to `size × size`, bilinear with antialiasing.
pub(super) fn resize(pixels: &Tensor, size: i64) -> Result<Tensor, DataError> {
    if pixels.size()[2..] == [size, size] {
        return Ok(pixels.shallow_clone());
    }
    Ok(pixels.f_internal_upsample_bilinear2d_aa([size, size], false, None, None)?)
}

/// `y/127.5 − 1`: 0 … 255 to [−1, 1], as one block of memory.
fn to_unit(pixels: &Tensor) -> Result<Tensor, DataError> {
    Ok(pixels.f_clamp(0.0, 255.0)?.f_div_scalar(127.5)?.f_sub_scalar(1.0)?.f_contiguous()?)
}
