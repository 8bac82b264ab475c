//! The keys of a scheduler file that say how x̂₀ is kept in range.

use crate::{Clipping, SetupError};

/// The keys `clip_sample`, `clip_sample_range`, `thresholding`, `dynamic_thresholding_ratio` and `sample_max_value`.
pub(super) struct ClippingKeys {
    pub(super) class: &'static str,
    pub(super) clip_sample: bool,
    pub(super) clip_sample_range: f64,
    pub(super) thresholding: bool,
    pub(super) dynamic_thresholding_ratio: f64,
    pub(super) sample_max_value: f64,
}

impl ClippingKeys {
    pub(super) fn check(&self) -> Result<(), SetupError> {
        let refuse = |key, value, allowed| {
            Err(SetupError::UnsupportedOption {
                class: self.class,
                key,
                value: format!("{value}"),
                allowed,
            })
        };
        let bounds = self.clip_sample_range > 0.0;
        if self.clip_sample && !bounds {
            return refuse("clip_sample_range", self.clip_sample_range, "allowed is above 0");
        }
        if self.thresholding && !(0.0..=1.0).contains(&self.dynamic_thresholding_ratio) {
            return refuse(
                "dynamic_thresholding_ratio",
                self.dynamic_thresholding_ratio,
                "allowed is 0 to 1",
            );
        }
        let thresholds = self.sample_max_value >= 1.0;
        if self.thresholding && !thresholds {
            return refuse("sample_max_value", self.sample_max_value, "allowed is 1 and above");
        }
        Ok(())
    }

    /// Thresholding goes before clipping, as in diffusers.
    pub(super) fn clipping(&self) -> Clipping {
        if self.thresholding {
            Clipping::Dynamic {
                ratio: self.dynamic_thresholding_ratio,
                largest: self.sample_max_value,
            }
        } else if self.clip_sample {
            Clipping::Range(self.clip_sample_range)
        } else {
            Clipping::None
        }
    }
}
