//! How good a run is, in numbers.

mod classifier;

pub use classifier::{Classifier, ClassifierReport};
