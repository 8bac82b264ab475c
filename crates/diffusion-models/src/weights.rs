//! Tensors on disk: safetensors, alone or in the shards of an index, as diffusers names the files.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use safetensors::{Dtype, SafeTensors, View};
use tch::{Kind, Tensor};

use crate::{ModelError, Parameters};

/// diffusers' name of a model's weights.
const WEIGHTS: &str = "diffusion_pytorch_model.safetensors";

/// Reads every tensor of a safetensors file, on the CPU in the file's own types.
///
/// # Errors
/// Where the file is absent or damaged, or holds a type that libtorch does not have.
pub fn read_tensors(path: &Path) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let bytes = std::fs::read(path).map_err(|e| ModelError::io("read", path, e))?;
    let fail = |reason: String| ModelError::Weights { path: path.to_owned(), reason };
    let file = SafeTensors::deserialize(&bytes)
        .map_err(|e| fail(format!("not a whole safetensors file: {e}")))?;
    file.iter()
        .map(|(name, view)| {
            let kind = kind_of(view.dtype()).ok_or_else(|| {
                fail(format!("{name} has type {:?}, which libtorch lacks", view.dtype()))
            })?;
            let shape: Vec<i64> = view.shape().iter().map(|&n| n as i64).collect();
            Ok((name.to_owned(), Tensor::f_from_data_size(view.data(), &shape, kind)?))
        })
        .collect()
}

/// Writes tensors into a safetensors file, contiguous, whatever their layout in memory.
///
/// # Errors
/// Where a tensor cannot be copied to the host or the file cannot be written.
pub fn write_tensors<'a>(
    path: &Path,
    tensors: impl IntoIterator<Item = (&'a str, &'a Tensor)>,
) -> Result<(), ModelError> {
    let fail = |reason: String| ModelError::Weights { path: path.to_owned(), reason };
    let stored = tensors
        .into_iter()
        .map(|(name, tensor)| Ok((name, Stored::of(tensor)?)))
        .collect::<Result<Vec<_>, ModelError>>()?;
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    // safetensors renames a temporary file, which only its owner may read: the file gets what a new one has.
    let permissions = std::fs::File::create(path).and_then(|file| file.metadata());
    let permissions = permissions.map_err(|e| ModelError::io("write", path, e))?.permissions();
    safetensors::serialize_to_file(stored, Some(metadata), path)
        .map_err(|e| fail(format!("cannot write: {e}")))?;
    std::fs::set_permissions(path, permissions).map_err(|e| ModelError::io("write", path, e))
}

/// Reads the weights of a model directory.
pub(crate) fn read_weights(directory: &Path) -> Result<BTreeMap<String, Tensor>, ModelError> {
    let index = directory.join(format!("{WEIGHTS}.index.json"));
    if index.exists() {
        read_shards(directory, &index)
    } else {
        read_tensors(&directory.join(WEIGHTS))
    }
}

/// Writes the weights of a model directory.
pub(crate) fn write_weights(directory: &Path, parameters: &Parameters) -> Result<(), ModelError> {
    write_tensors(&directory.join(WEIGHTS), parameters.iter().map(|p| (p.name.as_str(), &p.tensor)))
}

fn read_shards(directory: &Path, index: &Path) -> Result<BTreeMap<String, Tensor>, ModelError> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = std::fs::read_to_string(index).map_err(|e| ModelError::io("read", index, e))?;
    let fail = |reason: String| ModelError::Weights { path: index.to_owned(), reason };
    let Index { weight_map } =
        serde_json::from_str(&text).map_err(|e| fail(format!("not an index: {e}")))?;
    let shards: std::collections::BTreeSet<&String> = weight_map.values().collect();
    let mut tensors = BTreeMap::new();
    for shard in shards {
        if Path::new(shard).file_name().is_none_or(|name| name != shard.as_str()) {
            return Err(fail(format!("names a shard outside its folder: {shard}")));
        }
        tensors.extend(read_tensors(&directory.join(shard))?);
    }
    Ok(tensors)
}

/// A tensor's bytes in the order of the file.
struct Stored {
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Stored {
    fn of(tensor: &Tensor) -> Result<Self, ModelError> {
        let tensor = tensor.f_detach()?.f_to_device(tch::Device::Cpu)?.f_contiguous()?;
        let dtype = dtype_of(tensor.kind()).ok_or_else(|| {
            tch::TchError::Kind(format!(
                "safetensors has no type for a tensor of {:?}",
                tensor.kind()
            ))
        })?;
        let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
        tensor.f_copy_data_u8(&mut bytes, tensor.numel())?;
        Ok(Self { dtype, shape: tensor.size().iter().map(|&n| n as usize).collect(), bytes })
    }
}

impl View for Stored {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.bytes)
    }
    fn data_len(&self) -> usize {
        self.bytes.len()
    }
}

const KINDS: [(Dtype, Kind); 10] = [
    (Dtype::F64, Kind::Double),
    (Dtype::F32, Kind::Float),
    (Dtype::F16, Kind::Half),
    (Dtype::BF16, Kind::BFloat16),
    (Dtype::I64, Kind::Int64),
    (Dtype::I32, Kind::Int),
    (Dtype::I16, Kind::Int16),
    (Dtype::I8, Kind::Int8),
    (Dtype::U8, Kind::Uint8),
    (Dtype::BOOL, Kind::Bool),
];

fn kind_of(dtype: Dtype) -> Option<Kind> {
    KINDS.iter().find(|(d, _)| *d == dtype).map(|(_, kind)| *kind)
}

fn dtype_of(kind: Kind) -> Option<Dtype> {
    KINDS.iter().find(|(_, k)| *k == kind).map(|(dtype, _)| *dtype)
}
