//! The learning rate as a function of the step.

use crate::{LearningRateDecay, OptimizerSection};

/// The learning rate of step `step ∈ 1 ..= steps`: a linear rise over the warm-up, then constant or half a cosine.
///
/// ```
/// use diffusion_train::{LearningRateDecay, OptimizerSection, learning_rate};
/// let section = OptimizerSection {
///     learning_rate: 2.0,
///     warmup_steps: 10,
///     decay: LearningRateDecay::Cosine,
///     ..OptimizerSection::default()
/// };
/// assert_eq!(learning_rate(&section, 5, 110), 1.0);
/// assert_eq!(learning_rate(&section, 10, 110), 2.0);
/// assert!((learning_rate(&section, 60, 110) - 1.0).abs() < 1e-12);
/// ```
pub fn learning_rate(section: &OptimizerSection, step: u64, steps: u64) -> f64 {
    let (step, warmup) = (step as f64, section.warmup_steps as f64);
    if step < warmup {
        return section.learning_rate * step / warmup;
    }
    match section.decay {
        LearningRateDecay::Constant => section.learning_rate,
        LearningRateDecay::Cosine => {
            let progress = (step - warmup) / (steps as f64 - warmup).max(1.0);
            section.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use approx::assert_relative_eq;

    use super::*;

    #[test]
    fn it_rises_to_its_peak_then_stays_or_falls_to_zero() {
        let mut section = OptimizerSection {
            learning_rate: 0.5,
            warmup_steps: 20,
            ..OptimizerSection::default()
        };
        let at = |section: &OptimizerSection, step| learning_rate(section, step, 200);
        assert!((1..20).all(|step| at(&section, step) < at(&section, step + 1)));
        assert_relative_eq!(at(&section, 200), 0.5);
        section.decay = LearningRateDecay::Cosine;
        assert_relative_eq!(at(&section, 20), 0.5);
        assert!((20..200).all(|step| at(&section, step) > at(&section, step + 1)));
        assert_relative_eq!(at(&section, 200), 0.0);
        section.warmup_steps = 0;
        assert!(at(&section, 1) > 0.49);
    }
}
