//! A discrete schedule at fractional indices, as a [`NoiseSchedule`] in continuous time, and its inverse.

use super::DiscreteSchedule;
use crate::stable::log1mexp;
use crate::{LogSnr, NoiseLevel, NoiseSchedule};

impl DiscreteSchedule {
    /// The level between two indices, `index` in [0, T], with time `index − 1`: linear in log-SNR between neighbours. In
    /// the first step, where log-SNR starts at +∞, ln ᾱ is linear; in a last step to zero signal, α is.
    fn level_between(&self, index: f64) -> NoiseLevel {
        let (below, fraction) = self.split(index);
        let level = if fraction == 0.0 {
            self.level(below)
        } else if below == 0 {
            let log_alpha_bar = fraction * self.log_alpha_bar[1];
            NoiseLevel::from_log_scales(0.5 * log_alpha_bar, 0.5 * log1mexp(log_alpha_bar))
        } else {
            let (from, to) = (self.log_snr(below).0, self.log_snr(below + 1).0);
            if to == f64::NEG_INFINITY {
                let log_alpha_bar = self.log_alpha_bar[below] + 2.0 * (-fraction).ln_1p();
                NoiseLevel::from_log_scales(0.5 * log_alpha_bar, 0.5 * log1mexp(log_alpha_bar))
            } else {
                NoiseLevel::variance_preserving(LogSnr(from + fraction * (to - from)))
            }
        };
        level.with_time(index - 1.0)
    }

    /// `index` clamped to [0, T], as (integer below, fraction in [0, 1)).
    fn split(&self, index: f64) -> (usize, f64) {
        let index = index.clamp(0.0, self.n_steps() as f64);
        (index.floor() as usize, index.fract())
    }

    /// The index, fractional and clamped to [0, T], whose level has this log-SNR.
    pub fn index_of(&self, log_snr: LogSnr) -> f64 {
        let last = self.n_steps();
        // The first index whose log-SNR is at or below the one asked for; log-SNR falls with the index.
        let mut above = 1;
        let mut size = last;
        while size > 0 {
            let half = size >> 1;
            if self.log_snr(above + half).0 > log_snr.0 {
                above += half + 1;
                size -= half + 1;
            } else {
                size = half;
            }
        }
        if above > last {
            return last as f64;
        }
        let below = above - 1;
        let level = NoiseLevel::variance_preserving(log_snr);
        let fraction = if below == 0 {
            2.0 * level.log_alpha() / self.log_alpha_bar[1]
        } else {
            let (from, to) = (self.log_snr(below).0, self.log_snr(above).0);
            if to == f64::NEG_INFINITY {
                -(level.log_alpha() - 0.5 * self.log_alpha_bar[below]).exp_m1()
            } else {
                (from - log_snr.0) / (from - to)
            }
        };
        below as f64 + fraction.clamp(0.0, 1.0)
    }
}

impl NoiseSchedule for DiscreteSchedule {
    /// The level at index `t·T`, interpolated between neighbours; its time is `t·T − 1`.
    fn at(&self, t: f64) -> NoiseLevel {
        self.level_between(t * self.n_steps() as f64)
    }

    fn time_of(&self, log_snr: LogSnr) -> f64 {
        self.index_of(log_snr) / self.n_steps() as f64
    }
}
