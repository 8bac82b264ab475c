//! What every noise schedule answers: the level at a time, and the time of a level.

use crate::{LogSnr, NoiseLevel};

/// A Gaussian path from data (`t = 0`) to noise (`t = 1`) whose log-SNR falls strictly.
pub trait NoiseSchedule {
    /// The level at `t ∈ [0, 1]`, with the time at which a network trained on this schedule is to be asked.
    fn at(&self, t: f64) -> NoiseLevel;

    /// The inverse: the `t` whose level has this log-SNR, clamped to `[0, 1]`.
    fn time_of(&self, log_snr: LogSnr) -> f64;
}
