//! Ends of the domain, and what is refused.

use diffusion_math::{
    DiscreteSchedule, KeyedNoise, LogSnr, NoiseLevel, NoiseSource, Parameterization, ReplayedNoise,
    denoiser_fn,
};
use diffusion_samplers::{
    Clipping, Ddim, Ddpm, History, NoiseGrid, ReverseVariance, SamplingError, SetupError, Step,
    TimestepSpacing, Trajectory, timesteps,
};
use ndarray::{Array1, Array2, array};

use crate::problems::{all_samplers, gaussian, one_step};

fn level(log_snr: f64) -> NoiseLevel {
    NoiseLevel::variance_preserving(LogSnr(log_snr))
}

/// One step from pure noise (α = 0) to clean data (σ = 0): the mean of the data, without NaN.
#[test]
fn one_step_from_pure_noise_to_clean_data() {
    let grid = NoiseGrid::new(&[NoiseLevel::from_scales(0.0, 1.0), NoiseLevel::clean()]).unwrap();
    for (name, sampler) in all_samplers() {
        let mut noise = ReplayedNoise::new([0.0]);
        let x = Trajectory::new(&*sampler, &gaussian(), &grid, 2.7, &mut noise).finish().unwrap();
        assert_eq!(x, 0.5, "{name}");
    }
}

/// Zero terminal signal, in many steps, on arrays of one element, of none, and of f32.
#[test]
fn zero_terminal_signal_and_small_batches() {
    let schedule = DiscreteSchedule::linear(100).unwrap().with_zero_terminal_snr().unwrap();
    let grid = NoiseGrid::every_step(&schedule).unwrap();
    assert_eq!(grid.first().alpha(), 0.0);
    let mut noise = KeyedNoise::new(0);
    let one = Trajectory::new(&Ddim::default(), &gaussian(), &grid, array![0.2_f32], &mut noise)
        .finish()
        .unwrap();
    assert!(one[0].is_finite() && one[0] > 0.4);
    let sampler = Ddpm::default();
    let none = Array2::<f64>::zeros((0, 3));
    let none = Trajectory::new(&sampler, &gaussian(), &grid, none, &mut noise).finish().unwrap();
    assert_eq!(none.dim(), (0, 3));
}

/// NaN, an infinity, a failing denoiser and exhausted noise stop the trajectory with the sampler's and the step's name,
/// and leave it where it was.
#[test]
fn errors_name_the_sampler_and_the_step() {
    let grid = NoiseGrid::spaced(
        &DiscreteSchedule::linear(1000).unwrap(),
        TimestepSpacing::Leading,
        10,
        0,
    )
    .unwrap();
    for bad in [f64::NAN, f64::INFINITY] {
        let denoiser = denoiser_fn(
            move |_: &f64, level: NoiseLevel| if level.time() < 650.0 { bad } else { 0.1 },
        );
        for (_, sampler) in all_samplers() {
            let mut noise = KeyedNoise::new(0);
            let mut trajectory = Trajectory::new(&*sampler, &denoiser, &grid, 1.0, &mut noise);
            for _ in 0..3 {
                trajectory.advance().unwrap();
            }
            let before = *trajectory.state();
            let error = trajectory.advance().unwrap_err();
            assert!(
                matches!(error, SamplingError::NotFinite { step: 4, n_steps: 10, .. }),
                "{error}"
            );
            let text = error.to_string();
            assert!(
                text.contains(sampler.name())
                    && text.contains("step 4 of 10")
                    && text.contains("600"),
                "{text}"
            );
            assert_eq!(*trajectory.state(), before);
            assert_eq!(trajectory.steps_done(), 3);
        }
    }
    let mut noise = ReplayedNoise::new([0.1, 0.2]);
    let error = Trajectory::new(&Ddpm::default(), &gaussian(), &grid, 1.0, &mut noise)
        .finish()
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "DDPM, step 3 of 10: the noise source is exhausted after 2 draws"
    );
    let mut noise = KeyedNoise::new(0);
    let learned = Ddpm::new(ReverseVariance::Learned);
    let error =
        Trajectory::new(&learned, &gaussian(), &grid, 1.0, &mut noise).finish().unwrap_err();
    assert!(
        error.to_string().starts_with("DDPM, step 1 of 10: the learned variance needs a network"),
        "{error}"
    );
    let mixture = diffusion_math::MixtureDenoiser::new(&[(1.0, &[0.0, 0.0], &[1.0, 1.0])]).unwrap();
    let error =
        Trajectory::new(&Ddim::default(), &mixture, &grid, 1.0, &mut noise).finish().unwrap_err();
    assert!(error.to_string().contains("DDIM, step 1 of 10"), "{error}");
}

/// A step that starts at clean data is refused, not divided by zero.
#[test]
fn a_step_from_clean_data_is_refused() {
    let mut noise = KeyedNoise::new(0);
    let mut history = History::new(0);
    for (_, sampler) in all_samplers() {
        let mut step = Step::new(
            sampler.name(),
            (NoiseLevel::clean(), NoiseLevel::clean()),
            &mut noise,
            &mut history,
        );
        let error = sampler.step(&gaussian(), &1.0, &mut step).unwrap_err();
        assert!(matches!(error, SamplingError::Unsupported { .. }), "{error}");
    }
}

/// Clipping changes x̂₀ and, unless told otherwise, not ε̂.
#[test]
fn clipping_keeps_the_unclipped_noise() {
    let denoiser = denoiser_fn(|_: &f64, _: NoiseLevel| 3.0);
    let (t, s) = (level(-1.0), level(1.0));
    let clipped = Ddim::default().with_clipping(Clipping::Range(1.0));
    let eps_of = |x0: f64| (0.5 - t.alpha() * x0) / t.sigma();
    let x = one_step(&clipped, &denoiser, (t, s), 0.5, 0.0);
    assert!((x - (s.alpha() + s.sigma() * eps_of(3.0))).abs() <= 1e-14);
    let both = clipped.with_noise_estimate(diffusion_samplers::NoiseEstimate::Clipped);
    let x = one_step(&both, &denoiser, (t, s), 0.5, 0.0);
    assert!((x - (s.alpha() + s.sigma() * eps_of(1.0))).abs() <= 1e-14);
}

/// What is no grid is refused with its numbers.
#[test]
fn impossible_grids_are_refused() {
    let text = |levels: &[NoiseLevel]| NoiseGrid::new(levels).unwrap_err().to_string();
    assert!(text(&[]).contains('0'));
    assert!(text(&[level(0.0)]).contains('1'));
    assert!(text(&[level(0.0), level(0.0)]).contains("must rise"));
    assert!(text(&[level(1.0), level(2.0), level(1.5)]).contains("step 2"));
    assert!(text(&[level(1.0), NoiseLevel::from_log_scales(f64::NAN, 0.0)]).contains("NaN"));
    assert!(
        text(&[level(0.0), NoiseLevel::clean(), NoiseLevel::clean()]).contains("only the last")
    );
    let noise = NoiseLevel::from_scales(0.0, 1.0);
    assert!(NoiseGrid::new(&[level(0.0), noise]).is_err());
    assert!(NoiseGrid::new(&[noise, level(0.0), NoiseLevel::clean()]).is_ok());
    assert!(NoiseGrid::with_targets(&[level(0.0)], &[]).is_err());
    assert!(NoiseGrid::with_targets(&[], &[]).is_err());
    assert!(NoiseGrid::with_targets(&[level(0.0), level(1.0)], &[level(0.0), level(2.0)]).is_err());
    assert!(NoiseGrid::with_targets(&[level(0.0), level(1.0)], &[level(0.5), level(1.0)]).is_ok());
    assert!(NoiseGrid::uniform_log_snr(LogSnr(1.0), LogSnr(f64::INFINITY), 3).is_err());
    assert!(NoiseGrid::uniform_log_snr(LogSnr(1.0), LogSnr(0.0), 3).is_err());
    assert!(NoiseGrid::uniform_log_snr(LogSnr(0.0), LogSnr(1.0), 0).is_err());
    assert!(matches!(Ddim::with_eta(1.5), Err(SetupError::SamplerValue { .. })));
    assert!(Ddim::with_eta(f64::NAN).is_err());
}

/// Every spacing visits n different timesteps of the schedule, noisiest first, for every n.
#[test]
fn timesteps_are_n_different_ones() {
    use TimestepSpacing::{Leading, Linspace, Trailing};
    for n_train_steps in [1, 2, 50, 1000] {
        for n_steps in 1..=n_train_steps {
            for spacing in [Leading, Linspace, Trailing] {
                let visited = timesteps(spacing, n_train_steps, n_steps, 0).unwrap();
                assert_eq!(visited.len(), n_steps);
                assert!(visited.windows(2).all(|pair| pair[0] > pair[1]), "{spacing:?} {n_steps}");
                assert!(visited[0] < n_train_steps);
                assert!(spacing != Trailing || visited[0] == n_train_steps - 1);
                assert!(spacing == Trailing || *visited.last().unwrap() == 0);
            }
        }
        assert!(timesteps(Leading, n_train_steps, 0, 0).is_err());
        assert!(timesteps(Leading, n_train_steps, n_train_steps + 1, 0).is_err());
        assert!(timesteps(Leading, n_train_steps, n_train_steps, 1).is_err());
    }
}

/// An exact denoiser through every parameterisation is the same denoiser.
#[test]
fn parameterizations_agree_along_a_trajectory() {
    let schedule = DiscreteSchedule::cosine(1000).unwrap();
    let grid = NoiseGrid::spaced(&schedule, TimestepSpacing::Trailing, 25, 0).unwrap();
    let data = gaussian();
    let outcome = |parameterization: Parameterization| {
        let network = denoiser_fn(|x_t: &f64, level: NoiseLevel| {
            let output = parameterization.output(x_t, &data.x0_hat(*x_t, level), level).unwrap();
            parameterization.x0_hat(x_t, &output, level).unwrap()
        });
        crate::problems::deterministic(&Ddim::default(), &network, &grid, 1.1)
    };
    let [eps, x0, v] = Parameterization::ALL.map(outcome);
    assert!((eps - x0).abs() <= 1e-9 && (v - x0).abs() <= 1e-12, "{eps} {x0} {v}");
}

/// The noise of a one-dimensional batch is a draw a sample.
#[test]
fn each_element_of_a_vector_is_a_sample() {
    let mut noise = KeyedNoise::new(3).with_first_sample(5);
    let batch = noise.standard_normal_like(&Array1::<f64>::zeros(4)).unwrap();
    let alone = KeyedNoise::new(3).with_first_sample(7).standard_normal_like(&0.0).unwrap();
    assert_eq!(batch[2], alone);
}
