//! Where random numbers come from: never a global generator, always a key (seed, sample, draw).

mod keyed;
mod normal;
mod permutation;
mod philox;
mod replayed;

pub use keyed::KeyedNoise;
pub use philox::philox4x32;
pub use replayed::ReplayedNoise;

/// Why a source gave no noise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NoiseError {
    /// A replayed source has no draw left.
    #[error("the noise source is exhausted after {draws} draws")]
    Exhausted {
        /// How many draws it gave.
        draws: usize,
    },
    /// A replayed draw does not have the asked shape.
    #[error("noise of shape {expected:?} was asked, the source has {got:?}")]
    ShapeMismatch {
        /// The shape asked for.
        expected: Vec<usize>,
        /// The shape at hand.
        got: Vec<usize>,
    },
}

/// A source of standard normal noise in the shape of a state.
pub trait NoiseSource<S> {
    /// `ε ~ N(0, I)`, in the shape of `x`; each call is a fresh draw.
    ///
    /// # Errors
    /// Where a replayed source is exhausted.
    fn standard_normal_like(&mut self, x: &S) -> Result<S, NoiseError>;
}

impl<S, N: NoiseSource<S> + ?Sized> NoiseSource<S> for &mut N {
    fn standard_normal_like(&mut self, x: &S) -> Result<S, NoiseError> {
        (**self).standard_normal_like(x)
    }
}
