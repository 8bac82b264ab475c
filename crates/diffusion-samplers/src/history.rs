//! What a multistep method remembers.

use std::collections::VecDeque;

use diffusion_math::NoiseLevel;

/// The predictions of a trajectory's last steps, for multistep methods; index 0 is the latest.
#[derive(Debug, Clone)]
pub struct History<S> {
    entries: VecDeque<(NoiseLevel, S)>,
    capacity: usize,
}

impl<S> History<S> {
    /// An empty history that keeps the last `capacity` predictions.
    pub fn new(capacity: usize) -> Self {
        Self { entries: VecDeque::with_capacity(capacity), capacity }
    }

    /// The level and x̂₀ of the prediction `steps_back` steps before this one, 0 being the last remembered.
    pub fn get(&self, steps_back: usize) -> Option<(NoiseLevel, &S)> {
        self.entries.get(steps_back).map(|(level, x0_hat)| (*level, x0_hat))
    }

    /// How many predictions are remembered.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Remembers a prediction, and forgets the oldest where the history is full.
    pub fn push(&mut self, level: NoiseLevel, x0_hat: S) {
        if self.capacity == 0 {
            return;
        }
        self.entries.truncate(self.capacity - 1);
        self.entries.push_front((level, x0_hat));
    }
}
