//! Output laws that are known exactly.

use diffusion_math::{
    DiscreteSchedule, GaussianDenoiser, KeyedNoise, NoiseLevel, NoiseSource, ReplayedNoise,
    denoiser_fn,
};
use diffusion_samplers::{Ddim, Ddpm, NoiseGrid, ReverseVariance, TimestepSpacing, Trajectory};
use ndarray::Array1;

use crate::problems::{all_samplers, optimal, output_law, standard_grid};

fn linear() -> DiscreteSchedule {
    DiscreteSchedule::linear(1000).unwrap()
}

/// 58: with the optimal variance and noise in every step, ancestral sampling of Gaussian data has the data's law in any
/// number of steps.
#[test]
fn ancestral_optimal_exact() {
    let data = GaussianDenoiser::new(0.7, 0.25).unwrap();
    for n_steps in [1, 2, 5, 50, 1000] {
        let grid = NoiseGrid::spaced(&linear(), TimestepSpacing::Trailing, n_steps, 0).unwrap();
        let (_, variance) = output_law(&optimal(data), &data, &grid, data.marginal(grid.first()));
        assert!((variance - 0.25).abs() <= 1e-12, "{n_steps} steps: {variance}");
        let (mean, _) = output_law(&optimal(data), &data, &grid, data.marginal(grid.first()));
        assert!((mean - 0.7).abs() <= 1e-12, "{n_steps} steps: {mean}");
    }
    // From N(0, I) instead, what is left is the mismatch of the prior.
    let grid = NoiseGrid::spaced(&linear(), TimestepSpacing::Trailing, 50, 0).unwrap();
    let (_, variance) = output_law(&optimal(data), &data, &grid, (0.0, 1.0));
    assert!((variance - 0.25).abs() <= 1e-5, "{variance}");
}

/// 61: the law of DDPM in 1000 steps on N(0, ¼), with z = 0 at the last; golden numbers by mpmath.
#[test]
fn ddpm_exact_law() {
    let data = GaussianDenoiser::new(0.0, 0.25).unwrap();
    let grid = NoiseGrid::every_step(&linear()).unwrap();
    let optimal = optimal(data).with_final_noise(diffusion_samplers::FinalNoise::Never);
    let cases = [
        (Ddpm::new(ReverseVariance::Beta), 0.250_752_075_007_531_252_53),
        (Ddpm::new(ReverseVariance::BetaTilde), 0.246_125_211_360_447_677_37),
        (optimal, 0.249_900_030_067_356_955_3),
    ];
    for (sampler, golden) in &cases {
        let (mean, variance) = output_law(sampler, &data, &grid, (0.0, 1.0));
        assert_eq!(mean, 0.0);
        assert!((variance - golden).abs() <= 1e-12, "{sampler:?}: {variance} instead of {golden}");
    }

    // The sampler itself, on 20,000 points with keyed noise, within the bound of Laurent & Massart for 1e-9.
    let n = 20_000;
    let mut noise = KeyedNoise::new(61);
    let x_t = noise.standard_normal_like(&Array1::<f64>::zeros(n)).unwrap();
    let (sampler, golden) = &cases[1];
    let x = Trajectory::new(sampler, &data, &grid, x_t, &mut noise).finish().unwrap();
    let n = n as f64;
    let mean = x.sum() / n;
    assert!(mean.abs() <= 6.1 * (golden / n).sqrt(), "mean {mean}");
    let ratio = x.iter().map(|x| x * x).sum::<f64>() / n / golden;
    assert!((ratio - 1.0).abs() <= 2.0 * (21.5 / n).sqrt() + 43.0 / n, "variance off by {ratio}");
}

/// 62: where the data are one point, every sampler is exact in any number of steps, and two steps are one.
#[test]
fn delta_data_exact() {
    let point = 0.37;
    let data = denoiser_fn(move |_: &f64, _: NoiseLevel| point);
    let schedule = linear();
    for (name, sampler) in all_samplers() {
        if name.contains("optimal") {
            continue; // its variance is that of other data
        }
        for n_steps in [1, 2, 7, 50] {
            let grid = NoiseGrid::spaced(&schedule, TimestepSpacing::Trailing, n_steps, 0).unwrap();
            let mut noise = KeyedNoise::new(62);
            let x = Trajectory::new(&*sampler, &data, &grid, -1.4, &mut noise).finish().unwrap();
            assert!((x - point).abs() <= 1e-12, "{name} in {n_steps} steps: {x}");
        }
    }
    // Deterministically the noise is carried along too: x_s = α_s·x₀ + σ_s·ε, whatever the steps.
    let (coarse, fine) = (standard_grid(1), standard_grid(64));
    let eps = (1.3 - coarse.first().alpha() * point) / coarse.first().sigma();
    let exact = coarse.last().alpha() * point + coarse.last().sigma() * eps;
    for grid in [coarse, fine] {
        let x = crate::problems::deterministic(&Ddim::default(), &data, &grid, 1.3);
        assert!((x - exact).abs() <= 1e-12, "{x} {exact}");
    }
    // Stochastically each step keeps the marginal's variance: α²·0 + σ².
    for sampler in [Ddim::with_eta(0.5).unwrap(), Ddim::with_eta(1.0).unwrap()] {
        let grid = standard_grid(9);
        let (first, last) = (grid.first(), grid.last());
        let law =
            output_law(&sampler, &data, &grid, (first.alpha() * point, first.sigma().powi(2)));
        assert!(
            (law.0 - last.alpha() * point).abs() <= 1e-12
                && (law.1 - last.sigma().powi(2)).abs() <= 1e-12
        );
    }
}

/// 96: as many evaluations as a sampler says, and twice as many of the networks under guidance.
#[test]
fn nfe_counter() {
    let count = std::cell::Cell::new(0);
    let counting = denoiser_fn(|x: &f64, _: NoiseLevel| {
        count.set(count.get() + 1);
        0.5 * x
    });
    for (name, sampler) in all_samplers() {
        count.set(0);
        let (grid, mut noise) = (standard_grid(13), KeyedNoise::new(96));
        let mut trajectory = Trajectory::new(&*sampler, &counting, &grid, 1.0, &mut noise);
        while trajectory.advance().unwrap().is_some() {}
        assert_eq!(trajectory.evaluations(), 13 * sampler.evaluations_per_step(), "{name}");
        assert_eq!(trajectory.evaluations(), count.get(), "{name}");
        assert_eq!(trajectory.steps_done(), 13);
    }
    let sampler = Ddim::default();
    for (guidance_scale, evaluations) in [(0.0, 13), (1.0, 13), (7.5, 26)] {
        count.set(0);
        let guided = diffusion_samplers::Guided {
            conditional: &counting,
            unconditional: &counting,
            guidance_scale,
        };
        let (grid, mut noise) = (standard_grid(13), ReplayedNoise::new([]));
        Trajectory::new(&sampler, &guided, &grid, 1.0, &mut noise).finish().unwrap();
        assert_eq!(count.get(), evaluations, "s = {guidance_scale}");
    }
}
