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

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;
    use tch::{Device, Kind};

    use super::*;

    /// `θ̄_n = Π dᵢ·θ₀ + Σ_k (1 − d_k)·Π_{i>k} dᵢ·θ_k`, the recursion written out.
    #[test]
    fn ema_closed_form() {
        let weights = |step: u64| (step as f64).sin() * 3.0 + 1.0;
        let tensor = |value: f64| Tensor::full([2], value, (Kind::Double, Device::Cpu));
        let mut ema = Ema::new(&[tensor(weights(0))], 0.8).unwrap();
        for step in 1..=40 {
            ema.update(&[tensor(weights(step))], step).unwrap();
        }
        let tail = |from: u64| (from + 1..=40).map(|i| ema.decay_at(i)).product::<f64>();
        let closed: f64 = tail(0) * weights(0)
            + (1..=40).map(|k| (1.0 - ema.decay_at(k)) * tail(k) * weights(k)).sum::<f64>();
        assert_relative_eq!(ema.averages()[0].double_value(&[1]), closed, max_relative = 1e-12);
    }

    #[test]
    fn the_warm_up_forgets_the_start_and_ends_at_the_decay() {
        let ema = Ema::new(&[], 0.999).unwrap();
        assert_relative_eq!(ema.decay_at(1), 2.0 / 11.0);
        assert_relative_eq!(ema.decay_at(1_000_000), 0.999);
        assert!((1..10_000).all(|step| ema.decay_at(step) <= ema.decay_at(step + 1)));
    }
}
