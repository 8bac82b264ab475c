//! Noise that was recorded elsewhere.

use std::collections::VecDeque;

use ndarray::{Array, Dimension};

use super::{NoiseError, NoiseSource};

/// Draws given in advance, returned in order: another program's noise, or a test's.
///
/// ```
/// use diffusion_math::{NoiseSource, ReplayedNoise};
/// let mut noise = ReplayedNoise::new([0.5, -1.0]);
/// assert_eq!(noise.standard_normal_like(&0.0)?, 0.5);
/// assert_eq!(noise.standard_normal_like(&0.0)?, -1.0);
/// assert!(noise.standard_normal_like(&0.0).is_err());
/// # Ok::<(), diffusion_math::NoiseError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ReplayedNoise<S> {
    left: VecDeque<S>,
    given: usize,
}

impl<S> ReplayedNoise<S> {
    /// A source of these draws.
    pub fn new(draws: impl IntoIterator<Item = S>) -> Self {
        Self { left: draws.into_iter().collect(), given: 0 }
    }

    /// How many draws are left.
    pub fn remaining(&self) -> usize {
        self.left.len()
    }

    /// The next draw, whatever its shape: for implementations of [`NoiseSource`] for other kinds of state.
    ///
    /// # Errors
    /// [`NoiseError::Exhausted`] when none is left.
    pub fn take_draw(&mut self) -> Result<S, NoiseError> {
        let draw = self.left.pop_front().ok_or(NoiseError::Exhausted { draws: self.given })?;
        self.given += 1;
        Ok(draw)
    }
}

impl NoiseSource<f64> for ReplayedNoise<f64> {
    fn standard_normal_like(&mut self, _x: &f64) -> Result<f64, NoiseError> {
        self.take_draw()
    }
}

impl<A, D: Dimension> NoiseSource<Array<A, D>> for ReplayedNoise<Array<A, D>> {
    fn standard_normal_like(&mut self, x: &Array<A, D>) -> Result<Array<A, D>, NoiseError> {
        let draw = self.take_draw()?;
        if draw.shape() == x.shape() {
            Ok(draw)
        } else {
            Err(NoiseError::ShapeMismatch {
                expected: x.shape().to_vec(),
                got: draw.shape().to_vec(),
            })
        }
    }
}
