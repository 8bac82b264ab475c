//! The order of convergence that each sampler states, measured against exact solutions.
//!
//! The grid is uniform in ln(α/σ) from −4 to 2.5; the step to σ = 0 is left out, because its error does not depend on the
//! step size.

use diffusion_math::{Denoiser, MixtureDenoiser, NoiseLevel};
use diffusion_samplers::{Ddim, Order, Sampler};

use crate::problems::{
    END, START, X_START, all_samplers, deterministic, gaussian, measured_order, mixture, one_step,
    output_law, standard_grid,
};

const STEPS: [usize; 4] = [40, 80, 160, 320];

/// The window of a measured order.
fn assert_order(measured: f64, stated: u32, what: &str) {
    println!("{what:52} stated {stated}, measured {measured:.3}");
    assert!(
        (measured - f64::from(stated)).abs() <= 0.12,
        "{what}: stated {stated}, measured {measured}"
    );
}

/// The probability-flow ODE by classical Runge–Kutta in ℓ = ln(α/σ): `d(x/σ)/dℓ = e^ℓ·x̂₀`.
fn flow(data: &MixtureDenoiser, x: f64, n_steps: usize) -> f64 {
    let level = |l: f64| NoiseLevel::variance_preserving(diffusion_math::HalfLogSnr(l).full());
    let slope = |l: f64, y: f64| l.exp() * data.x0_hat(&[y * level(l).sigma()], level(l))[0];
    let h = (END - START) / n_steps as f64;
    let mut y = x / level(START).sigma();
    for i in 0..n_steps {
        let l = START + i as f64 * h;
        let k1 = slope(l, y);
        let k2 = slope(l + h / 2.0, y + h / 2.0 * k1);
        let k3 = slope(l + h / 2.0, y + h / 2.0 * k2);
        let k4 = slope(l + h, y + h * k3);
        y += h / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4);
    }
    y * level(END).sigma()
}

/// Mean and variance of a sampler's output on one-dimensional data, by carrying the density itself along a lattice: every
/// step draws from N(m(x), n²), whose m and n the step itself tells.
fn output_moments(
    sampler: &dyn Sampler<f64>,
    data: &MixtureDenoiser,
    n_steps: usize,
) -> (f64, f64) {
    const SPACING: f64 = 0.01;
    const HALF: i32 = 550;
    let grid = standard_grid(n_steps);
    let lattice: Vec<f64> = (-HALF..=HALF).map(|i| f64::from(i) * SPACING).collect();
    let first = grid.first();
    let mut density: Vec<f64> =
        lattice.iter().map(|&x| data.log_density(&[x], first).exp()).collect();
    for levels in grid.steps() {
        let noise =
            one_step(sampler, data, levels, 0.0, 1.0) - one_step(sampler, data, levels, 0.0, 0.0);
        let mut next = vec![0.0; lattice.len()];
        let peak = SPACING / (noise * (2.0 * std::f64::consts::PI).sqrt());
        for (&x, &mass) in lattice.iter().zip(&density) {
            if mass < 1e-22 {
                continue;
            }
            let mean = one_step(sampler, data, levels, x, 0.0);
            let reach = 8.5 * noise;
            let index = |y: f64| ((y / SPACING).round() as i32 + HALF).clamp(0, 2 * HALF) as usize;
            for j in index(mean - reach)..=index(mean + reach) {
                next[j] += mass * peak * (-0.5 * ((lattice[j] - mean) / noise).powi(2)).exp();
            }
        }
        density = next;
    }
    let moment = |power: i32| -> f64 {
        lattice.iter().zip(&density).map(|(x, p)| x.powi(power) * p * SPACING).sum()
    };
    let mean = moment(1) / moment(0);
    (mean, moment(2) / moment(0) - mean * mean)
}

/// Every sampler converges with the order that it states, on a Gaussian and on a mixture.
#[test]
fn every_sampler_has_the_order_that_it_states() {
    let (gaussian, mixture) = (gaussian(), mixture());
    let exact_on_mixture = flow(&mixture, X_START, 20_000);
    let (first, last) = (standard_grid(1).first(), standard_grid(1).last());
    let mut measured = 0;
    for (name, sampler) in all_samplers() {
        match sampler.order() {
            Order::Ode(order) => {
                let exact = gaussian.flow(X_START, first, last);
                let error = |n: usize| {
                    deterministic(&*sampler, &gaussian, &standard_grid(n), X_START) - exact
                };
                assert_order(
                    measured_order(&STEPS.map(error)),
                    order,
                    &format!("{name}, Gaussian"),
                );
                let error = |n: usize| {
                    deterministic(&*sampler, &mixture, &standard_grid(n), X_START)
                        - exact_on_mixture
                };
                assert_order(measured_order(&STEPS.map(error)), order, &format!("{name}, mixture"));
            }
            Order::Weak(order) => {
                let (start, exact) = (gaussian.marginal(first), gaussian.marginal(last));
                let law = |n: usize| output_law(&*sampler, &gaussian, &standard_grid(n), start);
                let variance_errors = STEPS.map(|n| law(n).1 - exact.1);
                if variance_errors[0].abs() < 1e-12 {
                    // The optimal variance has none; its mean must be right too, as far as DDIM's is.
                    assert!(variance_errors.iter().all(|error| error.abs() < 1e-12), "{name}");
                    println!("{name:52} exact on its Gaussian");
                } else {
                    assert_order(
                        measured_order(&variance_errors),
                        order,
                        &format!("{name}, Gaussian, variance"),
                    );
                }
                let exact = exact_moments(&mixture, last);
                let error = |n: usize| output_moments(&*sampler, &mixture, n).1 - exact.1;
                // The lattice is the cost; the grids reach as far as the window needs.
                let errors = [80, 160, 320].map(error);
                assert_order(measured_order(&errors), order, &format!("{name}, mixture, variance"));
            }
            Order::Unordered => continue,
        }
        measured += 1;
    }
    assert_eq!(measured, all_samplers().len());
}

/// Mean and variance of the mixture of [`mixture`] at a level.
fn exact_moments(data: &MixtureDenoiser, level: NoiseLevel) -> (f64, f64) {
    // By quadrature of the density, on a lattice finer than its features.
    let moment = |power: i32| -> f64 {
        (-6000..=6000)
            .map(|i| f64::from(i) * 1e-3)
            .map(|x| x.powi(power) * data.log_density(&[x], level).exp() * 1e-3)
            .sum()
    };
    (moment(1), moment(2) - moment(1).powi(2))
}

/// DDIM's row of the table of regression values: the standard problem in 10, 20 and 40 steps.
#[test]
fn standard_problem_table() {
    let exact = gaussian().flow(X_START, standard_grid(1).first(), standard_grid(1).last());
    assert!((exact - 1.150_275_194_276_719_3).abs() <= 1e-12, "{exact}");
    let rows: [(Box<dyn Sampler<f64>>, [f64; 3]); 1] = [(
        Box::new(Ddim::default()),
        [1.054_794_047_504_010, 1.100_675_780_117_542, 1.124_989_008_952_058],
    )];
    for (sampler, expected) in rows {
        for (n_steps, expected) in [10, 20, 40].into_iter().zip(expected) {
            let x = deterministic(&*sampler, &gaussian(), &standard_grid(n_steps), X_START);
            assert!((x - expected).abs() <= 1e-12, "{} in {n_steps} steps: {x}", sampler.name());
        }
    }
}

/// The error of the output's variance on the standard problem, started from its exact law, in 20, 40 and 80 steps.
#[test]
fn standard_problem_variances() {
    let data = gaussian();
    let (first, last) = (standard_grid(1).first(), standard_grid(1).last());
    let (mean, variance) = data.marginal(last);
    assert!(
        (mean - 0.498_323_978_219_921_5).abs() <= 1e-12
            && (variance - 0.255_019_638_193_213_66).abs() <= 1e-12
    );
    let rows = [
        (Ddim::default(), [0.037_326_94, 0.019_398_45, 0.009_890_64]),
        (Ddim::with_eta(1.0).unwrap(), [0.066_064_01, 0.036_412_62, 0.019_153_11]),
    ];
    for (sampler, expected) in rows {
        for (n_steps, expected) in [20, 40, 80].into_iter().zip(expected) {
            let law = output_law(&sampler, &data, &standard_grid(n_steps), data.marginal(first));
            assert!(
                ((law.1 - variance).abs() - expected).abs() <= 1e-8,
                "{sampler:?}, {n_steps} steps: {}",
                law.1 - variance
            );
        }
    }
}

/// The order does not depend on the grid: one uniform in time, on a variance-preserving path.
#[test]
fn the_order_holds_on_another_grid() {
    let data = gaussian();
    let error = |n: usize| {
        let t = |i: usize| 0.98 - 0.93 * i as f64 / n as f64;
        let levels: Vec<_> =
            (0..=n).map(|i| (t(i) * std::f64::consts::FRAC_PI_2).sin_cos()).collect();
        let levels: Vec<_> = levels
            .into_iter()
            .map(|(sigma, alpha)| NoiseLevel::from_scales(alpha, sigma))
            .collect();
        let grid = diffusion_samplers::NoiseGrid::new(&levels).unwrap();
        let denoiser: &dyn Denoiser<f64> = &data;
        deterministic(&Ddim::default(), denoiser, &grid, X_START)
            - data.flow(X_START, grid.first(), grid.last())
    };
    assert_order(measured_order(&STEPS.map(error)), 1, "DDIM, Gaussian, trigonometric path");
}
