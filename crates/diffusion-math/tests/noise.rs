//! The quality of keyed noise, and that nothing but its key changes it.
//!
//! Seeds are fixed; the statistical bounds would hold for another seed with probability 1 − 1e-9 each.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

use diffusion_math::{KeyedNoise, NoiseError, NoiseSource, ReplayedNoise};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, concatenate, s};

/// Two-sided 1e-9 of a standard normal.
const Z: f64 = 6.1;

/// 2²² draws of one sample.
fn normals_f32(seed: u64, sample: u64, draw: u32) -> Vec<f32> {
    let mut out = vec![0.0; 1 << 22];
    KeyedNoise::new(seed).fill_f32(sample, draw, &mut out);
    out
}

fn normals_f64(seed: u64, sample: u64, draw: u32) -> Vec<f64> {
    let mut out = vec![0.0; 1 << 20];
    KeyedNoise::new(seed).fill_f64(sample, draw, &mut out);
    out
}

/// The mean of numbers of this expectation and variance, in standard errors.
fn z_score(numbers: impl Iterator<Item = f64>, expectation: f64, variance: f64) -> f64 {
    let (mut sum, mut n) = (0.0, 0.0);
    for x in numbers {
        sum += x - expectation;
        n += 1.0;
    }
    sum / (n * variance).sqrt()
}

/// χ² of counts against equal expectations, below the bound that χ² of k degrees exceeds with probability e^{−21.5}
/// (Laurent & Massart 2000).
fn assert_uniform(counts: &[u32], what: &str) {
    let expected = f64::from(counts.iter().sum::<u32>()) / counts.len() as f64;
    let chi2: f64 =
        counts.iter().map(|&count| (f64::from(count) - expected).powi(2) / expected).sum();
    let degrees = counts.len() as f64 - 1.0;
    let bound = degrees + 2.0 * (degrees * 21.5).sqrt() + 43.0;
    assert!(chi2 <= bound, "{what}: chi2 {chi2:.1}, allowed {bound:.1}");
}

/// The very bits, so that a change of compiler, machine or code that alters a run is noticed.
#[test]
fn the_bits_are_frozen() {
    let noise = KeyedNoise::new(42);
    let mut out = [0.0_f32; 200];
    noise.fill_f32(3, 5, &mut out);
    let bits = [0, 1, 31, 32, 64, 96, 128, 199].map(|i| out[i].to_bits());
    assert_eq!(bits, FROZEN_F32, "{bits:#x?}");
    let mut out = [0.0_f64; 100];
    noise.fill_f64(3, 5, &mut out);
    let bits = [0, 1, 31, 32, 63, 64, 99].map(|i| out[i].to_bits());
    assert_eq!(bits, FROZEN_F64, "{bits:#x?}");
    assert_eq!(
        noise.uniform(3, 5).to_bits(),
        FROZEN_UNIFORM,
        "{:#x}",
        noise.uniform(3, 5).to_bits()
    );
    assert_eq!(noise.below(3, 5, 1000), FROZEN_BELOW);
    assert_eq!(noise.permutation(1, 8), FROZEN_PERMUTATION);
}

const FROZEN_F32: [u32; 8] = [
    0x3ef1f370, 0xbf19e158, 0x3f2e81b1, 0x3f85447d, 0xbf8bacaf, 0xbf4db2b0, 0x3e96175a, 0xbf6b1e05,
];
const FROZEN_F64: [u64; 7] = [
    0x3fe04ec2a7dd42dc,
    0x3ff209d78cab8b87,
    0xbfcff524f7fd0080,
    0x3fe2a18fc7cf7636,
    0xbff4fea5e86c1df7,
    0x3fe86c1df521427a,
    0xbfcb6fd9c2ea04f7,
];
const FROZEN_UNIFORM: u64 = 0x3fd18d2b6a161240;
const FROZEN_BELOW: u64 = 588;
const FROZEN_PERMUTATION: [usize; 8] = [0, 4, 5, 6, 7, 3, 2, 1];

/// 92: the same key gives the same bits; batch split, order of samples, length and thread count change none.
#[test]
fn determinism() {
    fn check<T: Copy + Default + PartialEq + Send + std::fmt::Debug>(shape: (usize, usize, usize))
    where
        KeyedNoise: NoiseSource<Array3<T>>,
    {
        let zeros = |n| Array3::from_elem((n, shape.1, shape.2), T::default());
        let draw = |first: u64, n: usize| {
            let mut noise = KeyedNoise::new(9).with_first_sample(first).with_next_draw(4);
            noise.standard_normal_like(&zeros(n)).unwrap()
        };
        let whole = draw(100, shape.0);
        assert_eq!(whole, draw(100, shape.0));
        for split in [1, 2, shape.0 - 1] {
            let parts = [draw(100, split), draw(100 + split as u64, shape.0 - split)];
            assert_eq!(concatenate![Axis(0), parts[0], parts[1]], whole);
        }
        for n_threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
            assert_eq!(pool.install(|| draw(100, shape.0)), whole);
        }
    }
    check::<f32>((5, 3, 7));
    check::<f32>((40, 32, 33)); // large enough for threads
    check::<f64>((5, 3, 7));
    check::<f64>((40, 32, 33));

    // A shorter draw is the beginning of a longer one, whatever way it is computed.
    let noise = KeyedNoise::new(1);
    let mut long = vec![0.0_f32; 1000];
    noise.fill_f32(2, 3, &mut long);
    for len in [0, 1, 2, 6, 7, 31, 32, 33, 127, 128, 129, 134, 135, 999] {
        let mut short = vec![0.0_f32; len];
        noise.fill_f32(2, 3, &mut short);
        assert_eq!(short, long[..len], "{len}");
    }
    let mut long = vec![0.0_f64; 1000];
    noise.fill_f64(2, 3, &mut long);
    for len in [1, 6, 7, 32, 33, 63, 64, 65, 70, 71] {
        let mut short = vec![0.0_f64; len];
        noise.fill_f64(2, 3, &mut short);
        assert_eq!(short, long[..len], "{len}");
    }
}

/// Each call is the next draw; a number is its own sample; a scalar array is one sample.
#[test]
fn draws_are_counted() {
    let mut noise = KeyedNoise::new(11);
    let first = noise.standard_normal_like(&0.0).unwrap();
    assert_eq!(noise.next_draw(), 1);
    let second = noise.standard_normal_like(&0.0).unwrap();
    assert_ne!(first, second);
    let again = KeyedNoise::new(11).with_next_draw(1).standard_normal_like(&0.0).unwrap();
    assert_eq!(again, second);
    let array: ArrayD<f64> =
        KeyedNoise::new(11).standard_normal_like(&ArrayD::zeros(vec![])).unwrap();
    assert_eq!(array.first(), Some(&first));
    let batch = KeyedNoise::new(11).standard_normal_like(&Array1::<f64>::zeros(3)).unwrap();
    assert_eq!(batch[0], first);
    assert_eq!(
        KeyedNoise::new(11).standard_normal_like(&Array2::<f32>::zeros((0, 4))).unwrap().dim(),
        (0, 4)
    );
    assert_eq!(
        KeyedNoise::new(11).standard_normal_like(&Array2::<f32>::zeros((4, 0))).unwrap().dim(),
        (4, 0)
    );
}

/// Moments to the sixth: 0, 1, 0, 3, 0, 15, whose powers' variances are 1, 2, 15, 96, 945, 10170.
#[test]
fn moments() {
    let expectations =
        [(0.0, 1.0), (1.0, 2.0), (0.0, 15.0), (3.0, 96.0), (0.0, 945.0), (15.0, 10_170.0)];
    let (single, double) = (normals_f32(1, 0, 0), normals_f64(1, 0, 0));
    for (power, (expectation, variance)) in (1..).zip(expectations) {
        let z = z_score(single.iter().map(|&x| f64::from(x).powi(power)), expectation, variance);
        assert!(z.abs() <= Z, "f32, moment {power}: z = {z}");
        let z = z_score(double.iter().map(|&x| x.powi(power)), expectation, variance);
        assert!(z.abs() <= Z, "f64, moment {power}: z = {z}");
    }
}

/// As many numbers beyond kσ as there should be, to 5σ, on both sides; and 6σ can be reached.
#[test]
fn tails() {
    // 2·(1 − Φ(k))
    let two_sided = [
        (1.0, 0.317_310_507_9),
        (2.0, 0.045_500_263_9),
        (3.0, 2.699_796_06e-3),
        (4.0, 6.334_248_4e-5),
        (5.0, 5.733_03e-7),
    ];
    let (mut above, mut below, mut n) = ([0_u32; 5], [0_u32; 5], 0.0);
    for sample in 0..8 {
        for x in normals_f32(2, sample, 0) {
            n += 1.0;
            for (i, (k, _)) in two_sided.iter().enumerate() {
                above[i] += u32::from(f64::from(x) > *k);
                below[i] += u32::from(f64::from(x) < -k);
            }
        }
    }
    for (i, (k, probability)) in two_sided.iter().enumerate() {
        let expected = 0.5 * probability * n;
        for count in [above[i], below[i]] {
            // Bernstein: P(|X − E| > t) ≤ 2·exp(−t²/(2(E + t/3)))
            let allowed = 7.2 + (7.2_f64.powi(2) + 2.0 * 21.5 * expected).sqrt();
            let off = (f64::from(count) - expected).abs();
            assert!(off <= allowed, "{k} sigma: {count} instead of {expected:.1}");
        }
    }
}

/// Neighbouring elements, draws, samples and seeds are uncorrelated, and so are their squares.
#[test]
fn no_correlation_between_neighbours() {
    let base = normals_f32(3, 0, 0);
    let compare = |other: &[f32], what: &str| {
        let pairs = || base.iter().zip(other).map(|(&x, &y)| (f64::from(x), f64::from(y)));
        let z = z_score(pairs().map(|(x, y)| x * y), 0.0, 1.0);
        assert!(z.abs() <= Z, "{what}: z = {z}");
        let z = z_score(pairs().map(|(x, y)| (x * x - 1.0) * (y * y - 1.0)), 0.0, 4.0);
        assert!(z.abs() <= Z, "{what}, squares: z = {z}");
    };
    for lag in [1, 2, 31, 32, 33, 64, 96, 127, 128, 129, 256] {
        compare(&base[lag..], &format!("lag {lag}"));
    }
    compare(&normals_f32(3, 0, 1), "next draw");
    compare(&normals_f32(3, 1, 0), "next sample");
    compare(&normals_f32(3, 1 << 32, 0), "sample 2^32");
    compare(&normals_f32(4, 0, 0), "next seed");
    compare(&normals_f32(3 | 1 << 32, 0, 0), "seed 2^32 further");
    let double: Vec<f32> = normals_f64(3, 0, 0).into_iter().map(|x| x as f32).collect();
    compare(&double, "the f64 stream");
    // The two numbers of a Box–Muller pair.
    let pairs = base
        .chunks(128)
        .flat_map(|chunk| (0..32).map(|i| (f64::from(chunk[i]), f64::from(chunk[32 + i]))));
    let z = z_score(pairs.map(|(x, y)| x * y), 0.0, 1.0);
    assert!(z.abs() <= Z, "pair: z = {z}");
}

/// Uniform numbers are uniform and in [0, 1), integers unbiased, and independent of the normals' key.
#[test]
fn uniforms_and_integers() {
    let noise = KeyedNoise::new(6);
    let mut counts = [0_u32; 100];
    let mut sevens = [0_u32; 7];
    for sample in 0..200_000 {
        let u = noise.uniform(sample, 1);
        assert!((0.0..1.0).contains(&u));
        counts[(u * 100.0) as usize] += 1;
        sevens[noise.below(sample, 1, 7) as usize] += 1;
    }
    assert_uniform(&counts, "uniform");
    assert_uniform(&sevens, "below 7");
    // A range that is no divisor of 2⁶⁴ and half of it: a biased method would give its lower third twice as often.
    let n = 3 << 62;
    let mut thirds = [0_u32; 3];
    for sample in 0..30_000 {
        thirds[(noise.below(sample, 2, n) >> 62) as usize] += 1;
    }
    assert_uniform(&thirds, "below 3·2^62");
    assert_eq!(noise.below(0, 0, 1), 0);
}

/// Every order of four is as frequent, another epoch is another order, and each is an order.
#[test]
fn permutations() {
    let mut counts = [0_u32; 24];
    for seed in 0..48_000 {
        let order = KeyedNoise::new(seed).permutation(0, 4);
        let rank = order.iter().enumerate().fold(0, |rank, (i, &x)| {
            rank * (4 - i) + order[i + 1..].iter().filter(|&&later| later < x).count()
        });
        counts[rank] += 1;
    }
    assert_uniform(&counts, "orders of four");
    let noise = KeyedNoise::new(0);
    assert_ne!(noise.permutation(0, 100), noise.permutation(1, 100));
    let mut order = noise.permutation(7, 10_000);
    assert_ne!(order, (0..10_000).collect::<Vec<_>>());
    order.sort_unstable();
    assert_eq!(order, (0..10_000).collect::<Vec<_>>());
    assert!(noise.permutation(0, 0).is_empty());
    assert_eq!(noise.permutation(0, 1), [0]);
}

/// Replayed noise comes in order, in its shape, and ends with an error that counts.
#[test]
fn replayed_noise() {
    let draws = Array3::from_shape_fn((2, 2, 3), |(d, i, j)| (d * 6 + i * 3 + j) as f64);
    let mut noise = ReplayedNoise::new(draws.outer_iter().map(|draw| draw.to_owned()));
    let like = Array2::zeros((2, 3));
    assert_eq!(noise.standard_normal_like(&like).unwrap(), draws.slice(s![0, .., ..]));
    assert_eq!(noise.remaining(), 1);
    let error = noise.clone().standard_normal_like(&Array2::zeros((3, 2))).unwrap_err();
    assert!(matches!(error, NoiseError::ShapeMismatch { .. }), "{error}");
    assert_eq!(noise.standard_normal_like(&like).unwrap(), draws.slice(s![1, .., ..]));
    let error = noise.standard_normal_like(&like).unwrap_err();
    assert!(matches!(error, NoiseError::Exhausted { draws: 2 }), "{error}");
}
