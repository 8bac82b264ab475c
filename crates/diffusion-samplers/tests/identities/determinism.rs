//! The same seed gives the same bytes, whatever the batch split.

use diffusion_math::{KeyedNoise, NoiseSource};
use diffusion_samplers::{SamplerOptions, SchedulerConfig, Trajectory};
use ndarray::{Array2, Axis, concatenate, s};

use crate::problems::mixture;

/// Samples `first..first + n` of a run.
fn samples(config: &SchedulerConfig, eta: Option<f64>, first: u64, n: usize) -> Array2<f64> {
    let sampler = config
        .sampler::<Array2<f64>>(&SamplerOptions { eta, ..SamplerOptions::default() })
        .unwrap();
    let grid = config.grid(12).unwrap();
    let mut noise = KeyedNoise::new(92).with_first_sample(first);
    let x_t = noise.standard_normal_like(&Array2::zeros((n, 6))).unwrap();
    Trajectory::new(&*sampler, &mixture(), &grid, x_t, &mut noise).finish().unwrap()
}

/// 92: twice the same; a batch is its parts, bit for bit, deterministic or not.
#[test]
fn determinism() {
    for (class, eta) in
        [("DDIMScheduler", None), ("DDIMScheduler", Some(1.0)), ("DDPMScheduler", None)]
    {
        let config =
            SchedulerConfig::from_json(&format!(r#"{{"_class_name": "{class}"}}"#)).unwrap();
        let whole = samples(&config, eta, 0, 16);
        assert_eq!(whole, samples(&config, eta, 0, 16));
        for split in [1, 5, 15] {
            let parts =
                [samples(&config, eta, 0, split), samples(&config, eta, split as u64, 16 - split)];
            assert_eq!(
                concatenate![Axis(0), parts[0], parts[1]],
                whole,
                "{class}, split at {split}"
            );
        }
        assert_eq!(samples(&config, eta, 7, 1), whole.slice(s![7..8, ..]));
        assert_ne!(whole.row(0), whole.row(1));
    }
}
