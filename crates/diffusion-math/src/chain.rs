//! The noising chain taken literally, one step after another: the reference that the closed form is tested against.

use crate::{DiscreteSchedule, NoiseError, NoiseSource, State};

/// `x_i = √(1 − β_i)·x_{i−1} + √β_i·ε_i` (Ho et al. 2020, arXiv:2006.11239, Eq. 2).
///
/// T draws where [`q_sample`](crate::q_sample) takes one; use that.
#[derive(Debug, Clone, Copy)]
pub struct NoisingChain<'a> {
    schedule: &'a DiscreteSchedule,
}

impl<'a> NoisingChain<'a> {
    /// The chain of a schedule.
    pub fn new(schedule: &'a DiscreteSchedule) -> Self {
        Self { schedule }
    }

    /// Step `index` in 1..=T: from `x_{index−1}` to `x_index`.
    pub fn step<S: State>(&self, x: &S, index: usize, eps: &S) -> S {
        let beta = self.schedule.beta(index);
        S::linear_combination(&[((1.0 - beta).sqrt(), x), (beta.sqrt(), eps)])
    }

    /// `x_index` from `x₀`, by `index ≤ T` steps.
    ///
    /// # Errors
    /// Where the noise source has none left.
    pub fn run<S: State>(
        &self,
        x0: &S,
        index: usize,
        noise: &mut dyn NoiseSource<S>,
    ) -> Result<S, NoiseError> {
        let mut x = S::linear_combination(&[(1.0, x0)]);
        for i in 1..=index {
            let eps = noise.standard_normal_like(&x)?;
            x = self.step(&x, i, &eps);
        }
        Ok(x)
    }

    /// Mean and variance of x_i given `x₀ ~ N(mean, variance)`, for i = 0, 1, …, T, by the chain's own recursion
    /// `m ← √(1 − β)·m`, `v ← (1 − β)·v + β`.
    pub fn moments(&self, mean: f64, variance: f64) -> impl Iterator<Item = (f64, f64)> + 'a {
        let betas = self.schedule.betas().iter();
        std::iter::once((mean, variance)).chain(betas.scan(
            (mean, variance),
            |(mean, variance), beta| {
                *mean *= (1.0 - beta).sqrt();
                *variance = (1.0 - beta) * *variance + beta;
                Some((*mean, *variance))
            },
        ))
    }
}
