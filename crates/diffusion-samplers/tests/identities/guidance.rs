//! Classifier-free guidance on Gaussians, where its outcome is known: it is not a sample of the tilted density.

use diffusion_math::{Denoiser, GaussianDenoiser, LogSnr};
use diffusion_samplers::{Ddim, Guided, NoiseGrid};

use crate::problems::deterministic;

/// Mean and variance of guided deterministic sampling in the limit of small steps, from N(0, I) at λ = −36 to λ = 36:
/// Richardson's extrapolation of three grids, for a first-order method whose error has a second-order part.
fn guided_law(guidance_scale: f64) -> (f64, f64) {
    let denoiser = Guided {
        conditional: GaussianDenoiser::new(1.0, 0.25).unwrap(),
        unconditional: GaussianDenoiser::new(0.0, 1.0).unwrap(),
        guidance_scale,
    };
    let denoiser: &dyn Denoiser<f64> = &denoiser;
    let line = |n_steps: usize| {
        let grid = NoiseGrid::uniform_log_snr(LogSnr(-36.0), LogSnr(36.0), n_steps).unwrap();
        let at = |x: f64| deterministic(&Ddim::default(), denoiser, &grid, x);
        let mean = at(0.0);
        (mean, at(1.0) - mean)
    };
    let [coarse, middle, fine] = [6000, 12_000, 24_000].map(line);
    let extrapolate = |a: f64, b: f64, c: f64| (8.0 * c - 6.0 * b + a) / 3.0;
    (extrapolate(coarse.0, middle.0, fine.0), extrapolate(coarse.1, middle.1, fine.1).powi(2))
}

/// 68: on p = N(0, 1) and p_c = N(1, ¼) the guided variance is `v_c^s·v_u^{1−s}`, and neither it nor the mean are those
/// of the tilted density `p^{1−s}·p_c^s`; golden numbers by mpmath.
#[test]
fn cfg_gaussian_law() {
    for (s, variance) in [(0.0, 1.0), (1.0, 0.25), (2.0, 0.0625), (3.0, 0.015_625)] {
        let law = guided_law(s);
        assert!((law.1 - variance).abs() <= 1e-6, "s = {s}: variance {}", law.1);
    }
    let (mean, variance) = guided_law(2.0);
    assert!((mean - 1.380_172_998_150_473_2).abs() <= 1e-6, "{mean}");
    let tilted = (1.142_857_142_857_142_9, 0.142_857_142_857_142_86);
    assert!((mean - tilted.0).abs() > 0.2 && (variance - tilted.1).abs() > 0.05);
    // The mean does not grow with s for ever.
    assert!(guided_law(7.5).0 < guided_law(3.0).0);
}
