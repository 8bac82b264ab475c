//! Which noise levels a trajectory visits.

use diffusion_math::{DiscreteSchedule, LogSnr, NoiseLevel};

use crate::{SetupError, TimestepSpacing, timesteps};

/// The steps of a trajectory, from the noisiest level to the cleanest; checked once, here.
///
/// Log-SNR rises strictly from step to step; only the first level may be pure noise (−∞) and only the last clean (+∞).
///
/// Each step goes from its level to a target. The target is the next step's level, but for grids of diffusers' DDIM
/// where the number of steps does not divide the schedule's ([`with_targets`](Self::with_targets)).
///
/// ```
/// use diffusion_math::DiscreteSchedule;
/// use diffusion_samplers::{NoiseGrid, TimestepSpacing};
/// let schedule = DiscreteSchedule::linear(1000)?;
/// let grid = NoiseGrid::spaced(&schedule, TimestepSpacing::Leading, 10, 0)?;
/// let times: Vec<f64> = grid.steps().map(|(from, _)| from.time()).collect();
/// assert_eq!(times, [900.0, 800.0, 700.0, 600.0, 500.0, 400.0, 300.0, 200.0, 100.0, 0.0]);
/// assert_eq!(grid.last().sigma(), 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NoiseGrid {
    steps: Vec<(NoiseLevel, NoiseLevel)>,
}

impl NoiseGrid {
    /// The grid through these levels, noisiest first: n levels are n − 1 steps.
    ///
    /// # Errors
    /// Fewer than two levels, a NaN, log-SNR that does not rise strictly, or an infinite one elsewhere than at its end.
    pub fn new(levels: &[NoiseLevel]) -> Result<Self, SetupError> {
        if levels.len() < 2 {
            return Err(SetupError::TooFewLevels { n_levels: levels.len() });
        }
        let grid = Self { steps: levels.windows(2).map(|pair| (pair[0], pair[1])).collect() };
        grid.check_levels()?;
        grid.check_targets(|from, to| from < to)?;
        Ok(grid)
    }

    /// A grid whose every step has a target of its own: what diffusers' DDIM does, whose step of `T/n` timesteps, rounded
    /// down, need not end where the next one starts.
    ///
    /// # Errors
    /// No step, as many targets as levels are not given, a NaN, levels that do not rise strictly in log-SNR, or a target
    /// below its level. The last target may repeat its level (diffusers' `set_alpha_to_one = false`).
    pub fn with_targets(levels: &[NoiseLevel], targets: &[NoiseLevel]) -> Result<Self, SetupError> {
        if levels.is_empty() {
            return Err(SetupError::TooFewLevels { n_levels: targets.len() });
        }
        if levels.len() != targets.len() {
            return Err(SetupError::TargetCount {
                n_steps: levels.len(),
                n_targets: targets.len(),
            });
        }
        let grid = Self { steps: levels.iter().copied().zip(targets.iter().copied()).collect() };
        grid.check_levels()?;
        let last = grid.steps.len() - 1;
        let repeats = grid.steps[last].0.log_snr() == grid.steps[last].1.log_snr();
        let mut rising = grid.clone();
        if repeats {
            rising.steps.pop();
        }
        rising.check_targets(|from, to| from < to)?;
        Ok(grid)
    }

    /// Every level of a discrete schedule, T steps from index T to clean data.
    ///
    /// # Errors
    /// Where β are so small (below about 1e-16) that two levels are one number.
    pub fn every_step(schedule: &DiscreteSchedule) -> Result<Self, SetupError> {
        let levels: Vec<_> =
            (0..=schedule.n_steps()).rev().map(|index| schedule.level(index)).collect();
        Self::new(&levels)
    }

    /// diffusers' timesteps of a discrete schedule ([`timesteps`]), then clean data.
    ///
    /// # Errors
    /// No step, more steps than the schedule has, or an offset past its end.
    pub fn spaced(
        schedule: &DiscreteSchedule,
        spacing: TimestepSpacing,
        n_steps: usize,
        steps_offset: usize,
    ) -> Result<Self, SetupError> {
        let timesteps = timesteps(spacing, schedule.n_steps(), n_steps, steps_offset)?;
        let mut levels: Vec<_> = timesteps.iter().map(|&t| schedule.level_at_timestep(t)).collect();
        levels.push(schedule.level(0));
        Self::new(&levels)
    }

    /// Variance-preserving levels equally spaced in log-SNR, `from` < `to` both finite: the grid on which orders of
    /// convergence are measured. Its levels have no time, since they belong to no schedule.
    ///
    /// # Errors
    /// No step, an end that is not finite, or `from ≥ to`.
    pub fn uniform_log_snr(from: LogSnr, to: LogSnr, n_steps: usize) -> Result<Self, SetupError> {
        for (index, LogSnr(log_snr)) in [(0, from), (n_steps, to)] {
            if !log_snr.is_finite() {
                return Err(SetupError::Level { index, log_snr, allowed: "both ends are finite" });
            }
        }
        let at = |i: usize| from.0 + i as f64 / n_steps as f64 * (to.0 - from.0);
        let levels: Vec<_> =
            (0..=n_steps).map(|i| NoiseLevel::variance_preserving(LogSnr(at(i)))).collect();
        Self::new(&levels)
    }

    /// How many steps there are, at least 1.
    pub fn n_steps(&self) -> usize {
        self.steps.len()
    }

    /// Step `index`, from 0: (level of x_t, level of the result).
    pub fn step(&self, index: usize) -> Option<(NoiseLevel, NoiseLevel)> {
        self.steps.get(index).copied()
    }

    /// The steps in order, each (level of x_t, level of the result).
    pub fn steps(&self) -> impl ExactSizeIterator<Item = (NoiseLevel, NoiseLevel)> + '_ {
        self.steps.iter().copied()
    }

    /// The noisiest level, where a trajectory starts.
    pub fn first(&self) -> NoiseLevel {
        self.steps[0].0
    }

    /// The cleanest level, where it ends.
    pub fn last(&self) -> NoiseLevel {
        self.steps[self.steps.len() - 1].1
    }

    /// The levels at which a denoiser is asked: none is NaN or clean, and they rise.
    fn check_levels(&self) -> Result<(), SetupError> {
        for (index, (from, _)) in self.steps.iter().enumerate() {
            let log_snr = from.log_snr().0;
            if log_snr.is_nan() {
                return Err(SetupError::Level { index, log_snr, allowed: "it must be a number" });
            }
            if log_snr == f64::INFINITY {
                return Err(SetupError::Level {
                    index,
                    log_snr,
                    allowed: "only the last level may be clean",
                });
            }
            if index > 0 && log_snr == f64::NEG_INFINITY {
                return Err(SetupError::Level {
                    index,
                    log_snr,
                    allowed: "only the first level may be pure noise",
                });
            }
        }
        for (i, pair) in self.steps.windows(2).enumerate() {
            let (from, to) = (pair[0].0.log_snr().0, pair[1].0.log_snr().0);
            if from >= to {
                return Err(SetupError::NotRising { step: i + 1, from, to });
            }
        }
        Ok(())
    }

    fn check_targets(&self, allowed: impl Fn(f64, f64) -> bool) -> Result<(), SetupError> {
        for (i, (from, to)) in self.steps.iter().enumerate() {
            let (from, to) = (from.log_snr().0, to.log_snr().0);
            if to.is_nan() {
                return Err(SetupError::Level {
                    index: i + 1,
                    log_snr: to,
                    allowed: "it must be a number",
                });
            }
            if !allowed(from, to) {
                return Err(SetupError::NotRising { step: i + 1, from, to });
            }
        }
        Ok(())
    }
}
