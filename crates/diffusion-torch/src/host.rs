//! Between host memory and tensors, with one copy each way.
//!
//! tch fills a tensor with zeros before it copies a slice into it, and reads into a buffer that was zeroed before.

use std::ops::Deref;

use tch::kind::Element;
use tch::{Device, Kind, Tensor};

use crate::TorchError;

/// A CPU tensor of this shape with the elements of `data`, in row-major order.
///
/// ```
/// use diffusion_torch::host;
/// let x = host::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0], &[2, 3])?;
/// assert_eq!(x.double_value(&[1, 0]), 4.0);
/// assert_eq!(host::to_vec::<f32>(&x.tr())?, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
/// # Ok::<(), diffusion_torch::TorchError>(())
/// ```
///
/// # Errors
/// Where `data` does not have as many elements as the shape.
pub fn from_slice<T: Element>(data: &[T], shape: &[i64]) -> Result<Tensor, TorchError> {
    let needed = elements(shape, T::KIND)?;
    if data.len() != needed {
        let (shape, kind) = (shape.to_vec(), T::KIND);
        return Err(TorchError::DataLength {
            given: data.len(),
            needed,
            unit: "elements",
            shape,
            kind,
        });
    }
    // SAFETY: `data` is `size_of_val(data)` initialised bytes of plain numbers.
    let bytes = unsafe {
        std::slice::from_raw_parts(data.as_ptr().cast::<u8>(), std::mem::size_of_val(data))
    };
    from_bytes(bytes, shape, T::KIND)
}

/// A CPU tensor of this shape and kind with these bytes, in row-major order and the machine's endianness.
///
/// # Errors
/// Where there are not as many bytes as the shape takes.
pub fn from_bytes(bytes: &[u8], shape: &[i64], kind: Kind) -> Result<Tensor, TorchError> {
    let needed = elements(shape, kind)? * kind.elt_size_in_bytes();
    if bytes.len() != needed {
        return Err(TorchError::DataLength {
            given: bytes.len(),
            needed,
            unit: "bytes",
            shape: shape.to_vec(),
            kind,
        });
    }
    if kind == Kind::Bool
        && let Some((index, byte)) = bytes.iter().enumerate().find(|(_, byte)| **byte > 1)
    {
        return Err(TorchError::InvalidBool { index, byte: *byte });
    }
    let tensor = Tensor::f_empty(shape, (kind, Device::Cpu))?;
    if needed > 0 {
        // SAFETY: the tensor was made just now, is contiguous, has `needed` bytes, and nobody else has a handle of it.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), tensor.data_ptr().cast::<u8>(), needed)
        };
    }
    Ok(tensor)
}

/// A CPU tensor of this shape whose elements, zero before, `fill` writes in row-major order: no copy at all.
///
/// # Errors
/// Where no tensor has the shape.
pub fn filled_by<T: Element>(
    shape: &[i64],
    fill: impl FnOnce(&mut [T]),
) -> Result<Tensor, TorchError> {
    let n_elements = elements(shape, T::KIND)?;
    let tensor = Tensor::f_zeros(shape, (T::KIND, Device::Cpu))?;
    if n_elements > 0 {
        // SAFETY: the tensor was made just now, is contiguous, has `n_elements` elements of T's kind, all of them zero
        // (which is a value of every kind), and nobody else has a handle of it.
        fill(unsafe { std::slice::from_raw_parts_mut(tensor.data_ptr().cast::<T>(), n_elements) });
    }
    Ok(tensor)
}

/// The elements of a tensor, in row-major order, wherever it is and however it lies in memory.
///
/// # Errors
/// Where its kind is not `T`'s.
pub fn to_vec<T: Element>(tensor: &Tensor) -> Result<Vec<T>, TorchError> {
    let got = tensor.f_kind()?;
    if got != T::KIND {
        return Err(TorchError::KindMismatch { expected: T::KIND, got });
    }
    let bytes = bytes(tensor)?;
    let n_elements = tensor.numel();
    let mut out = Vec::<T>::with_capacity(n_elements);
    // SAFETY: `bytes` holds `n_elements` elements of T's kind, `out` has room for them, and they do not overlap; after the
    // copy they are initialised.
    unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), out.as_mut_ptr().cast::<u8>(), bytes.len());
        out.set_len(n_elements);
    }
    Ok(out)
}

/// The memory of a tensor as bytes, in row-major order; see [`bytes`].
#[derive(Debug)]
pub struct HostBytes {
    tensor: Tensor,
    length: usize,
}

impl Deref for HostBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        if self.length == 0 {
            return &[];
        }
        // SAFETY: the tensor is contiguous, on the CPU, has `length` bytes and lives as long as `self`; `bytes` asks its
        // callers not to write to it meanwhile.
        unsafe { std::slice::from_raw_parts(self.tensor.data_ptr().cast::<u8>(), self.length) }
    }
}

/// The memory of a tensor as bytes, in row-major order: its own memory where it is contiguous and on the CPU, else a copy.
///
/// What a file of weights is written from. Do not write to the tensor, nor through another handle of it, while the bytes
/// are in use: they are its memory.
///
/// # Errors
/// Where libtorch fails to copy.
pub fn bytes(tensor: &Tensor) -> Result<HostBytes, TorchError> {
    let tensor = tensor.f_detach()?.f_to(Device::Cpu)?.f_contiguous()?;
    let length = tensor.numel() * tensor.f_kind()?.elt_size_in_bytes();
    Ok(HostBytes { tensor, length })
}

/// How many elements a shape has, where all of them have a place in memory.
fn elements(shape: &[i64], kind: Kind) -> Result<usize, TorchError> {
    let product = shape
        .iter()
        .try_fold(1usize, |product, size| product.checked_mul(usize::try_from(*size).ok()?));
    product
        .filter(|product| {
            product
                .checked_mul(kind.elt_size_in_bytes())
                .is_some_and(|bytes| isize::try_from(bytes).is_ok())
        })
        .ok_or_else(|| TorchError::InvalidShape { shape: shape.to_vec() })
}
