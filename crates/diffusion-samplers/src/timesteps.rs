//! Which timesteps of a discrete schedule a trajectory visits, exactly as diffusers chooses them.

use serde::{Deserialize, Serialize};

use crate::SetupError;

/// diffusers' `timestep_spacing`: which timesteps of `0..T` a trajectory of n steps visits (Lin et al. 2023,
/// arXiv:2305.08891, Table 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TimestepSpacing {
    /// `0, k, 2k, …` with `k = ⌊T/n⌋`, plus an offset: starts below the last timestep.
    #[default]
    Leading,
    /// n numbers from 0 to T − 1, rounded half to even: both ends.
    Linspace,
    /// `T, T − T/n, …` rounded half to even, less 1: the last timestep, not the first.
    Trailing,
}

/// The integer timesteps of n steps over a schedule of T, noisiest first, exactly as diffusers 0.42.1 computes them;
/// `steps_offset` counts with [`TimestepSpacing::Leading`] alone, as there.
///
/// One difference: for some n (61 at T = 1000) numpy's rounding gives diffusers an (n + 1)-th trailing timestep of −1,
/// at which it asks the network and reads the schedule's last entry; here it is left out.
///
/// # Errors
/// n = 0, n > T, or an offset past the schedule's end.
#[expect(clippy::integer_division, reason = "diffusers' `T // n`")]
pub fn timesteps(
    spacing: TimestepSpacing,
    n_train_steps: usize,
    n_steps: usize,
    steps_offset: usize,
) -> Result<Vec<usize>, SetupError> {
    if n_steps == 0 || n_steps > n_train_steps {
        return Err(SetupError::StepCount { n_steps, n_train_steps });
    }
    let last = n_train_steps - 1;
    Ok(match spacing {
        TimestepSpacing::Leading => {
            let stride = n_train_steps / n_steps;
            let timestep = (n_steps - 1) * stride + steps_offset;
            if timestep > last {
                return Err(SetupError::TimestepOutOfRange { timestep, steps_offset, last });
            }
            (0..n_steps).rev().map(|i| i * stride + steps_offset).collect()
        }
        TimestepSpacing::Linspace => {
            // numpy.linspace(0, T − 1, n): i·(T − 1)/(n − 1) with the quotient formed first, the last one set to its end.
            let stride = if n_steps > 1 { last as f64 / (n_steps - 1) as f64 } else { 0.0 };
            let at = |i: usize| {
                if n_steps > 1 && i == n_steps - 1 { last as f64 } else { i as f64 * stride }
            };
            (0..n_steps).rev().map(|i| at(i).round_ties_even() as usize).collect()
        }
        TimestepSpacing::Trailing => {
            // numpy.arange(T, 0, −T/n): start + i·delta with delta the difference of the first two, as it rounds.
            let start = n_train_steps as f64;
            let delta = (start - start / n_steps as f64) - start;
            (0..n_steps)
                .map(|i| (start + i as f64 * delta).round_ties_even() as usize - 1)
                .collect()
        }
    })
}
