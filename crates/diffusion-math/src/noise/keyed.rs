//! Noise that is looked up by (seed, sample, draw).

use ndarray::{Array, Axis, Dimension};
use rayon::prelude::*;

use super::normal::{normal_pair_f32, normal_pair_f64, unit_interval};
use super::philox::{philox_lanes, philox4x32};
use super::{NoiseError, NoiseSource};

/// Blocks computed side by side; part of the definition of which element gets which number.
const LANES: usize = 32;
/// Arrays of fewer elements are filled by one thread.
const PARALLEL_FROM: usize = 1 << 15;

/// Standard normal noise keyed by (seed, sample, draw), with a counter of draws.
///
/// Element `j` of draw `d` of sample `k` depends on (seed, k, d, j) and on nothing else: a batch split, a thread count,
/// another machine or a longer sample change no bit of it. In an array, axis 0 is the sample; each call of
/// [`standard_normal_like`](NoiseSource::standard_normal_like) is the next draw.
///
/// Philox4x32-10 gives the words, Box–Muller the normals; f32 and f64 are different numbers of the same law.
///
/// ```
/// use diffusion_math::{KeyedNoise, NoiseSource};
/// use ndarray::{Array2, s};
/// let whole = KeyedNoise::new(7).standard_normal_like(&Array2::<f32>::zeros((4, 3)))?;
/// let rest = KeyedNoise::new(7).with_first_sample(1).standard_normal_like(&Array2::<f32>::zeros((3, 3)))?;
/// assert_eq!(whole.slice(s![1.., ..]), rest);
/// # Ok::<(), diffusion_math::NoiseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedNoise {
    seed: u64,
    first_sample: u64,
    next_draw: u32,
}

/// Independent streams under one seed; each is a different key.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    NormalF32,
    NormalF64,
    Uniform,
    Below,
    Permutation,
}

/// The Philox key of a seed and a stream: the seed plus a multiple of an odd constant without structure.
pub(super) fn key(seed: u64, stream: Stream) -> [u32; 2] {
    let key = seed.wrapping_add((stream as u64).wrapping_mul(0x9E6C_63D0_76A7_D4D5));
    [key as u32, (key >> 32) as u32]
}

fn counter(block: u32, draw: u32, sample: u64) -> [u32; 4] {
    [block, draw, sample as u32, (sample >> 32) as u32]
}

impl KeyedNoise {
    /// The source of a seed, at sample 0 and draw 0.
    pub fn new(seed: u64) -> Self {
        Self { seed, first_sample: 0, next_draw: 0 }
    }

    /// The same source for a batch whose first sample is sample `first_sample` of the run.
    #[must_use]
    pub fn with_first_sample(self, first_sample: u64) -> Self {
        Self { first_sample, ..self }
    }

    /// The same source with its next draw set: what resuming in the middle of a run needs.
    #[must_use]
    pub fn with_next_draw(self, next_draw: u32) -> Self {
        Self { next_draw, ..self }
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The number in the run of a batch's first sample.
    pub fn first_sample(&self) -> u64 {
        self.first_sample
    }

    /// The draw that the next call of [`standard_normal_like`](NoiseSource::standard_normal_like) makes.
    pub fn next_draw(&self) -> u32 {
        self.next_draw
    }

    /// Takes the next draw's number: what an implementation of [`NoiseSource`] for another kind of state calls once,
    /// before it fills its samples by [`fill_f32`](Self::fill_f32) or [`fill_f64`](Self::fill_f64).
    pub fn take_draw(&mut self) -> u32 {
        let draw = self.next_draw;
        self.next_draw = draw.wrapping_add(1);
        draw
    }

    /// Standard normals of one sample's draw; a shorter `out` gets the first of them. `sample` counts from the start of
    /// the run ([`first_sample`](Self::first_sample) is not added).
    pub fn fill_f32(&self, sample: u64, draw: u32, out: &mut [f32]) {
        let key = key(self.seed, Stream::NormalF32);
        fill(
            out,
            |first, out: &mut Chunk<f32, 4>| chunk_f32(key, counter(first, draw, sample), out),
            |first, lane| {
                let [a, b, c, d] = philox4x32(counter(first + lane, draw, sample), key);
                let ((x, y), (z, w)) = (normal_pair_f32(a, b), normal_pair_f32(c, d));
                [x, y, z, w]
            },
        );
    }

    /// As [`fill_f32`](Self::fill_f32) in f64, of 53-bit uniforms.
    pub fn fill_f64(&self, sample: u64, draw: u32, out: &mut [f64]) {
        let key = key(self.seed, Stream::NormalF64);
        fill(
            out,
            |first, out: &mut Chunk<f64, 2>| chunk_f64(key, counter(first, draw, sample), out),
            |first, lane| {
                let [a, b, c, d] = philox4x32(counter(first + lane, draw, sample), key);
                let (x, y) = normal_pair_f64([a, b], [c, d]);
                [x, y]
            },
        );
    }

    /// A uniform number in [0, 1) of one sample's draw, 53 bits; independent of the normals.
    pub fn uniform(&self, sample: u64, draw: u32) -> f64 {
        let [a, b, ..] = philox4x32(counter(0, draw, sample), key(self.seed, Stream::Uniform));
        unit_interval([a, b])
    }

    /// A uniform integer in 0..n of one sample's draw, without bias; independent of the other numbers.
    ///
    /// # Panics
    /// When n = 0.
    pub fn below(&self, sample: u64, draw: u32, n: u64) -> u64 {
        let key = key(self.seed, Stream::Below);
        below(n, |attempt| philox4x32(counter(attempt, draw, sample), key))
    }
}

/// A uniform integer in 0..n of blocks of random words (Lemire 2019, *Fast random integer generation in an interval*).
pub(super) fn below(n: u64, block: impl Fn(u32) -> [u32; 4]) -> u64 {
    assert!(n > 0, "there is no integer below 0");
    let threshold = n.wrapping_neg() % n; // 2⁶⁴ mod n: as many products are one too many
    let mut attempt = 0;
    loop {
        let [a, b, c, d] = block(attempt);
        for word in [[a, b], [c, d]] {
            let word = u64::from(word[0]) | u64::from(word[1]) << 32;
            let product = u128::from(word) * u128::from(n);
            if product as u64 >= threshold {
                return (product >> 64) as u64;
            }
        }
        attempt += 1;
    }
}

/// What [`LANES`] blocks give: the k-th number of every block side by side.
type Chunk<T, const K: usize> = [[T; LANES]; K];

/// Fills `out` chunk by chunk: number k of block `first + lane` is element `k·LANES + lane` of its chunk. A few elements
/// at the end are computed one block at a time.
fn fill<T: Copy + Default, const K: usize>(
    out: &mut [T],
    whole: impl Fn(u32, &mut Chunk<T, K>),
    single: impl Fn(u32, u32) -> [T; K],
) {
    /// Below this many blocks, one at a time is cheaper than all lanes.
    const FEW: usize = 6;
    let mut first_block = 0_u32;
    let mut buffer = [[T::default(); LANES]; K];
    for chunk in out.chunks_mut(LANES * K) {
        if chunk.len() <= FEW {
            for (lane, x) in (0..).zip(chunk) {
                *x = single(first_block, lane)[0];
            }
        } else {
            whole(first_block, &mut buffer);
            for (part, numbers) in chunk.chunks_mut(LANES).zip(&buffer) {
                part.copy_from_slice(&numbers[..part.len()]);
            }
        }
        first_block = first_block.wrapping_add(LANES as u32);
    }
}

/// The words of [`LANES`] blocks from `first` on.
#[inline(always)]
fn words(key: [u32; 2], [block, draw, low, high]: [u32; 4]) -> Chunk<u32, 4> {
    let blocks = std::array::from_fn(|lane| block.wrapping_add(lane as u32));
    philox_lanes([blocks, [draw; LANES], [low; LANES], [high; LANES]], key)
}

fn chunk_f32(key: [u32; 2], first: [u32; 4], out: &mut Chunk<f32, 4>) {
    let [a, b, c, d] = words(key, first);
    let [x, y, z, w] = out;
    for lane in 0..LANES {
        (x[lane], y[lane]) = normal_pair_f32(a[lane], b[lane]);
    }
    for lane in 0..LANES {
        (z[lane], w[lane]) = normal_pair_f32(c[lane], d[lane]);
    }
}

fn chunk_f64(key: [u32; 2], first: [u32; 4], out: &mut Chunk<f64, 2>) {
    let [a, b, c, d] = words(key, first);
    let [x, y] = out;
    for lane in 0..LANES {
        (x[lane], y[lane]) = normal_pair_f64([a[lane], b[lane]], [c[lane], d[lane]]);
    }
}

impl NoiseSource<f64> for KeyedNoise {
    fn standard_normal_like(&mut self, _x: &f64) -> Result<f64, NoiseError> {
        let draw = self.take_draw();
        let mut out = [0.0];
        self.fill_f64(self.first_sample, draw, &mut out);
        Ok(out[0])
    }
}

macro_rules! noise_source_for_arrays_of {
    ($element:ty, $fill:ident) => {
        impl<D: Dimension> NoiseSource<Array<$element, D>> for KeyedNoise {
            fn standard_normal_like(
                &mut self,
                x: &Array<$element, D>,
            ) -> Result<Array<$element, D>, NoiseError> {
                let draw = self.take_draw();
                let source = &*self;
                let mut out = Array::<$element, D>::zeros(x.raw_dim());
                let n_samples = if x.ndim() == 0 { 1 } else { x.len_of(Axis(0)) };
                let per_sample = x.len().checked_div(n_samples).unwrap_or(0);
                if per_sample > 0 {
                    let elements = out.as_slice_mut().expect("a new array is in standard layout");
                    let fill = |(i, sample): (u64, &mut [$element])| {
                        source.$fill(source.first_sample.wrapping_add(i), draw, sample);
                    };
                    if x.len() < PARALLEL_FROM {
                        (0..).zip(elements.chunks_mut(per_sample)).for_each(fill);
                    } else {
                        let samples = elements.par_chunks_mut(per_sample).enumerate();
                        samples.for_each(|(i, sample)| fill((i as u64, sample)));
                    }
                }
                Ok(out)
            }
        }
    };
}

noise_source_for_arrays_of!(f32, fill_f32);
noise_source_for_arrays_of!(f64, fill_f64);
