//! The sampling loop, owned by the caller.

use diffusion_math::{Denoiser, NoiseLevel, NoiseSource, State};

use crate::{History, NoiseGrid, Sampler, SamplingError, Step};

/// A sample on its way from the first level of a grid to the last, one step a call.
///
/// ```
/// use diffusion_math::{GaussianDenoiser, KeyedNoise, LogSnr, NoiseSource};
/// use diffusion_samplers::{Ddim, NoiseGrid, Trajectory};
/// use ndarray::Array2;
/// let data = GaussianDenoiser::new(0.5, 0.25)?;
/// let grid = NoiseGrid::uniform_log_snr(LogSnr(-8.0), LogSnr(8.0), 20)?;
/// let sampler = Ddim::default();
/// let mut noise = KeyedNoise::new(7);
/// let x_t = noise.standard_normal_like(&Array2::<f32>::zeros((16, 2)))?;
///
/// let mut trajectory = Trajectory::new(&sampler, &data, &grid, x_t, &mut noise);
/// while let Some(x) = trajectory.advance()? {
///     assert_eq!(x.dim(), (16, 2)); // draw a picture, move a progress bar
/// }
/// assert_eq!(trajectory.evaluations(), 20);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Trajectory<'a, S> {
    sampler: &'a dyn Sampler<S>,
    denoiser: &'a dyn Denoiser<S>,
    grid: &'a NoiseGrid,
    noise: &'a mut dyn NoiseSource<S>,
    history: History<S>,
    x: S,
    steps_done: usize,
    evaluations: usize,
}

impl<S> std::fmt::Debug for Trajectory<'_, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trajectory")
            .field("sampler", &self.sampler.name())
            .field("steps_done", &self.steps_done)
            .field("n_steps", &self.grid.n_steps())
            .field("evaluations", &self.evaluations)
            .finish_non_exhaustive()
    }
}

impl<'a, S: State> Trajectory<'a, S> {
    /// A trajectory from `x`, a sample at the grid's first level (`σ·ε` where that is pure noise).
    pub fn new(
        sampler: &'a dyn Sampler<S>,
        denoiser: &'a dyn Denoiser<S>,
        grid: &'a NoiseGrid,
        x: S,
        noise: &'a mut dyn NoiseSource<S>,
    ) -> Self {
        let history = History::new(sampler.history_len());
        Self { sampler, denoiser, grid, noise, history, x, steps_done: 0, evaluations: 0 }
    }

    /// Makes the next step and returns the sample after it, or `None` when all are made.
    ///
    /// # Errors
    /// Where the sampler fails; the trajectory stays where it was.
    pub fn advance(&mut self) -> Result<Option<&S>, SamplingError> {
        let Some(levels) = self.grid.step(self.steps_done) else {
            return Ok(None);
        };
        let mut step = Step::new(self.sampler.name(), levels, &mut *self.noise, &mut self.history)
            .at(self.steps_done, self.grid.n_steps());
        let result = self.sampler.step(self.denoiser, &self.x, &mut step);
        self.evaluations += step.evaluations();
        self.x = result?;
        self.steps_done += 1;
        Ok(Some(&self.x))
    }

    /// Makes all steps that are left and returns the sample.
    ///
    /// # Errors
    /// Where the sampler fails.
    pub fn finish(mut self) -> Result<S, SamplingError> {
        while self.advance()?.is_some() {}
        Ok(self.x)
    }

    /// The sample as it is now.
    pub fn state(&self) -> &S {
        &self.x
    }

    /// The sample as it is now, taken out.
    pub fn into_state(self) -> S {
        self.x
    }

    /// The level of the sample as it is now.
    pub fn level(&self) -> NoiseLevel {
        match self.steps_done.checked_sub(1).and_then(|last| self.grid.step(last)) {
            Some((_, to)) => to,
            None => self.grid.first(),
        }
    }

    /// Steps made.
    pub fn steps_done(&self) -> usize {
        self.steps_done
    }

    /// Steps that the whole trajectory has.
    pub fn n_steps(&self) -> usize {
        self.grid.n_steps()
    }

    /// How many times the denoiser was asked so far (NFE); a guided denoiser counts once.
    pub fn evaluations(&self) -> usize {
        self.evaluations
    }
}
