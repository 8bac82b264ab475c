//! The exponential moving average of the weights, which is what samples are drawn from.

use diffusion_torch::ema_update;
use tch::Tensor;

use crate::TrainError;

/// `θ̄ ← d·θ̄ + (1 − d)·θ` after every step n, with `d = min(decay, (1 + n)/(10 + n))`.
///
/// The warm-up forgets the random start at once: without it, an average with decay 0.9999 is mostly noise for 10,000 steps.
#[derive(Debug)]
pub struct Ema {
    averages: Vec<Tensor>,
    decay: f64,
}

impl Ema {
    /// Starts at the present weights.
    ///
    /// # Errors
    /// Where libtorch cannot copy them.
    pub fn new(parameters: &[Tensor], decay: f64) -> Result<Self, TrainError> {
        let averages = parameters
            .iter()
            .map(|p| {
                Ok(tch::no_grad(|| {
                    p.f_detach()?.f_empty_like().and_then(|mut t| t.f_copy_(p).map(|()| t))
                })?)
            })
            .collect::<Result<_, TrainError>>()?;
        Ok(Self { averages, decay })
    }

    /// The decay after `step` steps, `step ≥ 1`.
    pub fn decay_at(&self, step: u64) -> f64 {
        let n = step as f64;
        self.decay.min((1.0 + n) / (10.0 + n))
    }

    /// Moves the average towards the weights of step `step`.
    ///
    /// # Errors
    /// Where the tensors do not fit.
    pub fn update(&mut self, parameters: &[Tensor], step: u64) -> Result<(), TrainError> {
        let decay = self.decay_at(step);
        Ok(ema_update(&mut self.averages, parameters, decay)?)
    }

    /// The averages, in the parameters' order.
    pub fn averages(&self) -> &[Tensor] {
        &self.averages
    }
}
