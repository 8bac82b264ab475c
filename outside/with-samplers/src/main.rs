//! Draws from a mixture of two Gaussians with DDIM, 50 steps.
use diffusion_math::{DiscreteSchedule, KeyedNoise, MixtureDenoiser, NoiseSource};
use diffusion_samplers::{Ddim, NoiseGrid, TimestepSpacing, Trajectory};
use ndarray::Array2;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let data = MixtureDenoiser::one_dimensional(&[(0.3, -1.0, 0.05), (0.7, 1.0, 0.1)])?;
    let grid =
        NoiseGrid::spaced(&DiscreteSchedule::cosine(1000)?, TimestepSpacing::Trailing, 50, 0)?;
    let mut noise = KeyedNoise::new(7);
    let x_t = noise.standard_normal_like(&Array2::<f32>::zeros((1000, 1)))?;
    let sampler = Ddim::default();
    let x0 = Trajectory::new(&sampler, &data, &grid, x_t, &mut noise).finish()?;

    let right = x0.iter().filter(|x| **x > 0.0).count();
    println!("{right} of 1000 samples in the right mode, whose weight is 0.7");
    assert!((613..787).contains(&right)); // six standard deviations
    Ok(())
}
