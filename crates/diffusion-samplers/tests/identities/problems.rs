//! Test problems with known answers, and the samplers that are put to them.

use diffusion_math::{
    Denoiser, GaussianDenoiser, LogSnr, MixtureDenoiser, NoiseLevel, ReplayedNoise,
};
use diffusion_samplers::{
    Ddim, Ddpm, FinalNoise, History, NoiseGrid, ReverseVariance, Sampler, Step, Trajectory,
};

/// Every sampler there is, by the name in this file's tables. A new sampler is added here and is measured by all tests.
pub(crate) fn all_samplers() -> Vec<(&'static str, Box<dyn Sampler<f64>>)> {
    vec![
        ("DDIM", Box::new(Ddim::default())),
        ("DDIM, eta = 0.5", Box::new(Ddim::with_eta(0.5).unwrap())),
        ("DDIM, eta = 1", Box::new(Ddim::with_eta(1.0).unwrap())),
        ("DDPM, beta", Box::new(Ddpm::new(ReverseVariance::Beta))),
        ("DDPM, beta tilde", Box::new(Ddpm::new(ReverseVariance::BetaTilde))),
        ("DDPM, optimal for N(1/2, 1/4)", Box::new(optimal(gaussian()))),
    ]
}

/// Ancestral sampling with the optimal variance for Gaussian data.
pub(crate) fn optimal(data: GaussianDenoiser) -> Ddpm {
    let variance = std::sync::Arc::new(move |level: NoiseLevel| data.posterior_variance(level));
    Ddpm::new(ReverseVariance::Optimal(variance)).with_final_noise(FinalNoise::Always)
}

/// The data of the standard problem: N(½, ¼).
pub(crate) fn gaussian() -> GaussianDenoiser {
    GaussianDenoiser::new(0.5, 0.25).unwrap()
}

/// Two modes, whose denoiser is not linear in x.
pub(crate) fn mixture() -> MixtureDenoiser {
    MixtureDenoiser::one_dimensional(&[(0.3, -0.8, 0.04), (0.7, 0.5, 0.1225)]).unwrap()
}

/// Where the standard problem starts and ends: ln(α/σ) = −4 and 2.5. Its start is far enough up that a first step of
/// lower order does not show.
pub(crate) const START: f64 = -4.0;
pub(crate) const END: f64 = 2.5;
/// The sample that it starts from.
pub(crate) const X_START: f64 = 1.3;

/// n steps, equally spaced in ln(α/σ).
pub(crate) fn standard_grid(n_steps: usize) -> NoiseGrid {
    NoiseGrid::uniform_log_snr(LogSnr(2.0 * START), LogSnr(2.0 * END), n_steps).unwrap()
}

/// Where a deterministic sampler carries `x`.
pub(crate) fn deterministic(
    sampler: &dyn Sampler<f64>,
    denoiser: &dyn Denoiser<f64>,
    grid: &NoiseGrid,
    x: f64,
) -> f64 {
    let mut noise = ReplayedNoise::new([]);
    Trajectory::new(sampler, denoiser, grid, x, &mut noise).finish().unwrap()
}

/// One step with this noise.
pub(crate) fn one_step(
    sampler: &dyn Sampler<f64>,
    denoiser: &dyn Denoiser<f64>,
    (from, to): (NoiseLevel, NoiseLevel),
    x_t: f64,
    noise: f64,
) -> f64 {
    let mut noise = ReplayedNoise::new([noise]);
    let mut history = History::new(sampler.history_len());
    let mut step = Step::new(sampler.name(), (from, to), &mut noise, &mut history);
    sampler.step(denoiser, &x_t, &mut step).unwrap()
}

/// The law of a sampler's output, given a Gaussian start, on a denoiser that is linear in x: every step is then
/// `x_s = a·x_t + b + n·ε`, whose three numbers the step itself tells at x = 0 and 1 and ε = 0 and 1.
pub(crate) fn output_law(
    sampler: &dyn Sampler<f64>,
    denoiser: &dyn Denoiser<f64>,
    grid: &NoiseGrid,
    (mut mean, mut variance): (f64, f64),
) -> (f64, f64) {
    for levels in grid.steps() {
        let step = |x: f64, noise: f64| one_step(sampler, denoiser, levels, x, noise);
        let b = step(0.0, 0.0);
        let a = step(1.0, 0.0) - b;
        let n = step(0.0, 1.0) - b;
        mean = a * mean + b;
        variance = a * a * variance + n * n;
    }
    (mean, variance)
}

/// The exponent p of errors that fall as n^{−p}, of the last two of a sequence of doubled n.
pub(crate) fn measured_order(errors: &[f64]) -> f64 {
    let [.., coarse, fine] = errors else { panic!("an order is measured on at least two grids") };
    (coarse / fine).abs().log2()
}
