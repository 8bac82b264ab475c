//! The closed form of the forward process against the chain that it replaces, and against a copy of the same memory.

#![allow(missing_docs)] // criterion's macros make public functions

use criterion::{Criterion, criterion_group, criterion_main};
use diffusion_math::{DiscreteSchedule, KeyedNoise, NoiseSource, NoisingChain, q_sample};
use ndarray::Array2;

/// A batch of 128 pictures of 3×32×32.
const SHAPE: (usize, usize) = (128, 3072);
const STEP: usize = 500;

fn forward_process(criterion: &mut Criterion) {
    let schedule = DiscreteSchedule::linear(1000).expect("the paper's schedule");
    let x0: Array2<f32> =
        KeyedNoise::new(1).standard_normal_like(&Array2::zeros(SHAPE)).expect("never exhausted");
    let mut group = criterion.benchmark_group("forward process, 128×3072, 500 steps");
    group.sample_size(10);
    group.bench_function("copy", |bencher| bencher.iter(|| x0.clone()));
    group.bench_function("closed form", |bencher| {
        let mut noise = KeyedNoise::new(2);
        bencher.iter(|| q_sample(&x0, schedule.level(STEP), &mut noise).expect("never exhausted"));
    });
    group.bench_function("chain", |bencher| {
        let mut noise = KeyedNoise::new(2);
        let chain = NoisingChain::new(&schedule);
        bencher.iter(|| chain.run(&x0, STEP, &mut noise).expect("never exhausted"));
    });
    group.finish();
}

criterion_group!(benches, forward_process);
criterion_main!(benches);
