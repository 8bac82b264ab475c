//! Keyed noise as a tensor.

use diffusion_math::{KeyedNoise, NoiseError, NoiseSource};
use rayon::prelude::*;
use tch::kind::Element;
use tch::{Kind, Tensor};

use crate::{TensorState, TorchError, host, memory_format};

/// Below this many elements, waking other threads costs more than they save.
const PARALLEL_FROM: usize = 1 << 15;

/// Dimension 0 is the sample: sample `i` of a batch is number `first_sample + i` of the run, and its elements count in
/// row-major order whatever the order in memory.
///
/// Made on the host and moved to the tensor's device, so that every device has the same bits. f64 tensors have f64 noise;
/// all other floating-point kinds have the f32 noise, rounded.
///
/// # Panics
/// Where libtorch fails, as when the device is out of memory.
impl NoiseSource<TensorState> for KeyedNoise {
    fn standard_normal_like(&mut self, x: &TensorState) -> Result<TensorState, NoiseError> {
        let draw = self.take_draw();
        let noise = noise_like(self, draw, &x.0).unwrap_or_else(|error| panic!("{error}"));
        Ok(TensorState(noise))
    }
}

fn noise_like(source: &KeyedNoise, draw: u32, x: &Tensor) -> Result<Tensor, TorchError> {
    let (shape, kind) = (x.size(), x.f_kind()?);
    let noise = if kind == Kind::Double {
        on_host(source, &shape, |sample, out| source.fill_f64(sample, draw, out))?
    } else {
        on_host(source, &shape, |sample, out| source.fill_f32(sample, draw, out))?
    };
    let noise = noise.f_to_device(x.device())?.f_to_kind(kind)?;
    if memory_format::is_channels_last(x)? {
        memory_format::to_channels_last(&noise)
    } else {
        Ok(noise)
    }
}

fn on_host<T: Element + Send>(
    source: &KeyedNoise,
    shape: &[i64],
    fill: impl Fn(u64, &mut [T]) + Sync,
) -> Result<Tensor, TorchError> {
    host::filled_by(shape, |elements: &mut [T]| {
        let n_samples = shape.first().map_or(1, |size| usize::try_from(*size).unwrap_or(0));
        let Some(per_sample) =
            elements.len().checked_div(n_samples).filter(|elements| *elements > 0)
        else {
            return;
        };
        let fill = |(i, sample): (usize, &mut [T])| {
            fill(source.first_sample().wrapping_add(i as u64), sample)
        };
        if elements.len() < PARALLEL_FROM {
            elements.chunks_mut(per_sample).enumerate().for_each(fill);
        } else {
            elements.par_chunks_mut(per_sample).enumerate().for_each(fill);
        }
    })
}
