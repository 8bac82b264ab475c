//! Schedules of finitely many steps, as DDPM and diffusers have them.
//!
//! The one file where an index has a meaning: level 0 is clean, level `i` is the state after `i` noising steps, and
//! a network trained on it is asked at time `i − 1` (diffusers' timestep). Tables are f64, in log space.

mod config;
mod cosine;
mod zero_terminal_snr;

pub use config::{ScheduleConfig, ScheduleKind};

use crate::stable::{log1mexp, sigmoid};
use crate::{LogSnr, MathError, NoiseLevel, NoiseSchedule};

/// A variance-preserving schedule of `T` steps: `ᾱ_i = Π_{k≤i} (1 − β_k)`, `α_i = √ᾱ_i`, `σ_i = √(1 − ᾱ_i)`.
///
/// Index 0 is clean data (ᾱ = 1), index T the noisiest level. A level's [`time`](NoiseLevel::time) is its index less one,
/// which is what a network trained on diffusers' convention expects.
///
/// ```
/// use diffusion_math::DiscreteSchedule;
/// let schedule = DiscreteSchedule::linear(1000)?;
/// assert!((schedule.alpha_bar(500) - 0.078587242881778237343).abs() < 1e-15);
/// assert_eq!(schedule.level(500).time(), 499.0);
/// assert_eq!(schedule.level(0).scales(), (1.0, 0.0));
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DiscreteSchedule {
    /// β of step i at i − 1.
    beta: Vec<f64>,
    /// ln ᾱ at index i; length T + 1.
    log_alpha_bar: Vec<f64>,
    /// ln(1 − ᾱ) at index i; length T + 1.
    log_noise: Vec<f64>,
}

/// Ho et al.'s schedules are stated for this many steps; others are scaled from it.
const REFERENCE_STEPS: f64 = 1000.0;

impl DiscreteSchedule {
    /// DDPM's linear schedule (Ho et al. 2020, arXiv:2006.11239, Section 4): β from 1e-4 to 0.02 at T = 1000, multiplied
    /// by 1000/T at another T, so that its ends keep their signal-to-noise ratio.
    ///
    /// # Errors
    /// `n_steps` = 0, or so few (20 and below) that a scaled β reaches 1.
    pub fn linear(n_steps: usize) -> Result<Self, MathError> {
        let (beta_start, beta_end) = scaled_ends(1e-4, 0.02, n_steps)?;
        Self::linear_with(beta_start, beta_end, n_steps)
    }

    /// `β_i = β_start + (i − 1)/(T − 1)·(β_end − β_start)`, unscaled: diffusers' `linear`.
    ///
    /// # Errors
    /// `n_steps` = 0, a β outside (0, 1), or `beta_start > beta_end`.
    pub fn linear_with(beta_start: f64, beta_end: f64, n_steps: usize) -> Result<Self, MathError> {
        check_ends(beta_start, beta_end)?;
        Self::from_betas(&linspace(beta_start, beta_end, n_steps))
    }

    /// `β_i = (√β_start + (i − 1)/(T − 1)·(√β_end − √β_start))²`, unscaled: diffusers' `scaled_linear`, with 0.00085 and
    /// 0.012 the schedule of Stable Diffusion (Rombach et al. 2022, arXiv:2112.10752).
    ///
    /// # Errors
    /// `n_steps` = 0, a β outside (0, 1), or `beta_start > beta_end`.
    pub fn scaled_linear(
        beta_start: f64,
        beta_end: f64,
        n_steps: usize,
    ) -> Result<Self, MathError> {
        check_ends(beta_start, beta_end)?;
        let roots = linspace(beta_start.sqrt(), beta_end.sqrt(), n_steps);
        Self::from_betas(&roots.iter().map(|root| root * root).collect::<Vec<_>>())
    }

    /// `β_i = β_start + (β_end − β_start)·sigmoid(−6 + 12·(i − 1)/(T − 1))`, unscaled: diffusers' `sigmoid` (GeoDiff,
    /// Xu et al. 2022, arXiv:2203.02923).
    ///
    /// # Errors
    /// `n_steps` = 0, a β outside (0, 1), or `beta_start > beta_end`.
    pub fn sigmoid(beta_start: f64, beta_end: f64, n_steps: usize) -> Result<Self, MathError> {
        check_ends(beta_start, beta_end)?;
        let arguments = linspace(-6.0, 6.0, n_steps);
        let beta = |x: &f64| beta_start + (beta_end - beta_start) * sigmoid(*x);
        Self::from_betas(&arguments.iter().map(beta).collect::<Vec<_>>())
    }

    /// The cosine schedule (Nichol & Dhariwal 2021, arXiv:2102.09672, Eq. 17): `ᾱ(u) = cos²θ(u)/cos²θ(0)`,
    /// `θ(u) = (u + 0.008)/1.008·π/2`, with β clipped at 0.999.
    ///
    /// # Errors
    /// `n_steps` = 0.
    pub fn cosine(n_steps: usize) -> Result<Self, MathError> {
        if n_steps == 0 {
            return Err(MathError::NoSteps);
        }
        let (beta, log_keep) = cosine::betas(n_steps);
        Ok(Self::from_log_keep(beta, &log_keep))
    }

    /// The schedule with the given β of steps 1 to T.
    ///
    /// # Errors
    /// No β, or one outside (0, 1).
    pub fn from_betas(beta: &[f64]) -> Result<Self, MathError> {
        if beta.is_empty() {
            return Err(MathError::NoSteps);
        }
        for (i, &beta) in beta.iter().enumerate() {
            if !(beta > 0.0 && beta < 1.0) {
                return Err(MathError::BetaOutOfRange { step: i + 1, beta });
            }
        }
        let log_keep: Vec<f64> = beta.iter().map(|beta| (-beta).ln_1p()).collect();
        Ok(Self::from_log_keep(beta.to_vec(), &log_keep))
    }

    /// The schedule of β and `ln(1 − β)`, given both because the second loses digits where β is near 1.
    fn from_log_keep(beta: Vec<f64>, log_keep: &[f64]) -> Self {
        let mut log_alpha_bar = Vec::with_capacity(beta.len() + 1);
        log_alpha_bar.push(0.0);
        // Compensated (Neumaier): the sum's relative error stays at one rounding whatever T is.
        let (mut sum, mut lost) = (0.0_f64, 0.0_f64);
        for &term in log_keep {
            let next = sum + term;
            if next.is_finite() {
                lost +=
                    if sum.abs() >= term.abs() { (sum - next) + term } else { (term - next) + sum };
            }
            sum = next;
            log_alpha_bar.push(sum + lost);
        }
        Self::from_log_alpha_bar(beta, log_alpha_bar)
    }

    fn from_log_alpha_bar(beta: Vec<f64>, log_alpha_bar: Vec<f64>) -> Self {
        let log_noise = log_alpha_bar.iter().map(|&l| log1mexp(l)).collect();
        Self { beta, log_alpha_bar, log_noise }
    }

    /// T, the number of steps; indices run from 0 to T.
    pub fn n_steps(&self) -> usize {
        self.beta.len()
    }

    /// β of step `index`, in (0, 1] for 1 ≤ index ≤ T: the share of variance that the step replaces; 0 at index 0.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn beta(&self, index: usize) -> f64 {
        if index == 0 { 0.0 } else { self.beta[index - 1] }
    }

    /// β of steps 1 to T; diffusers' `betas`.
    pub fn betas(&self) -> &[f64] {
        &self.beta
    }

    /// `ᾱ` at `index` in 0..=T, in [0, 1]; diffusers' `alphas_cumprod[index − 1]`.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn alpha_bar(&self, index: usize) -> f64 {
        self.log_alpha_bar[index].exp()
    }

    /// `1 − ᾱ = σ²` at `index` in 0..=T, to full relative precision.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn one_minus_alpha_bar(&self, index: usize) -> f64 {
        -self.log_alpha_bar[index].exp_m1()
    }

    /// `λ = ln(ᾱ/(1 − ᾱ))` at `index` in 0..=T, in nats; +∞ at index 0, −∞ at zero terminal signal.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn log_snr(&self, index: usize) -> LogSnr {
        LogSnr(self.log_alpha_bar[index] - self.log_noise[index])
    }

    /// The level after `index` noising steps, 0..=T; its time is `index − 1`.
    ///
    /// # Panics
    /// When `index > T`.
    pub fn level(&self, index: usize) -> NoiseLevel {
        NoiseLevel::from_log_scales(0.5 * self.log_alpha_bar[index], 0.5 * self.log_noise[index])
            .with_time(index as f64 - 1.0)
    }

    /// The level at which a network is asked at diffusers' `timestep` in 0..T: [`level`](Self::level) of `timestep + 1`.
    ///
    /// # Panics
    /// When `timestep ≥ T`.
    pub fn level_at_timestep(&self, timestep: usize) -> NoiseLevel {
        self.level(timestep + 1)
    }

    /// Whether the last level holds no signal at all: ᾱ_T = 0, where an ε-prediction says nothing about x₀.
    pub fn has_zero_terminal_snr(&self) -> bool {
        self.log_alpha_bar[self.n_steps()] == f64::NEG_INFINITY
    }

    /// The level between two indices, `index` in [0, T], with time `index − 1`: linear in log-SNR between neighbours. In
    /// the first step, where log-SNR starts at +∞, ln ᾱ is linear; in a last step to zero signal, α is.
    fn level_between(&self, index: f64) -> NoiseLevel {
        let (below, fraction) = self.split(index);
        let level = if fraction == 0.0 {
            self.level(below)
        } else if below == 0 {
            let log_alpha_bar = fraction * self.log_alpha_bar[1];
            NoiseLevel::from_log_scales(0.5 * log_alpha_bar, 0.5 * log1mexp(log_alpha_bar))
        } else {
            let (from, to) = (self.log_snr(below).0, self.log_snr(below + 1).0);
            if to == f64::NEG_INFINITY {
                let log_alpha_bar = self.log_alpha_bar[below] + 2.0 * (-fraction).ln_1p();
                NoiseLevel::from_log_scales(0.5 * log_alpha_bar, 0.5 * log1mexp(log_alpha_bar))
            } else {
                NoiseLevel::variance_preserving(LogSnr(from + fraction * (to - from)))
            }
        };
        level.with_time(index - 1.0)
    }

    /// `index` clamped to [0, T], as (integer below, fraction in [0, 1)).
    fn split(&self, index: f64) -> (usize, f64) {
        let index = index.clamp(0.0, self.n_steps() as f64);
        (index.floor() as usize, index.fract())
    }

    /// The index, fractional and clamped to [0, T], whose level has this log-SNR.
    pub fn index_of(&self, log_snr: LogSnr) -> f64 {
        let last = self.n_steps();
        // The first index whose log-SNR is at or below the one asked for; log-SNR falls with the index.
        let mut above = 1;
        let mut size = last;
        while size > 0 {
            let half = size >> 1;
            if self.log_snr(above + half).0 > log_snr.0 {
                above += half + 1;
                size -= half + 1;
            } else {
                size = half;
            }
        }
        if above > last {
            return last as f64;
        }
        let below = above - 1;
        let level = NoiseLevel::variance_preserving(log_snr);
        let fraction = if below == 0 {
            2.0 * level.log_alpha() / self.log_alpha_bar[1]
        } else {
            let (from, to) = (self.log_snr(below).0, self.log_snr(above).0);
            if to == f64::NEG_INFINITY {
                -(level.log_alpha() - 0.5 * self.log_alpha_bar[below]).exp_m1()
            } else {
                (from - log_snr.0) / (from - to)
            }
        };
        below as f64 + fraction.clamp(0.0, 1.0)
    }
}

impl NoiseSchedule for DiscreteSchedule {
    /// The level at index `t·T`, interpolated between neighbours; its time is `t·T − 1`.
    fn at(&self, t: f64) -> NoiseLevel {
        self.level_between(t * self.n_steps() as f64)
    }

    fn time_of(&self, log_snr: LogSnr) -> f64 {
        self.index_of(log_snr) / self.n_steps() as f64
    }
}

/// `n` numbers from `start` to `end`, both included; `start` alone where n = 1, as numpy and torch have it.
fn linspace(start: f64, end: f64, n: usize) -> Vec<f64> {
    let step = |i: usize| if n > 1 { i as f64 / (n - 1) as f64 } else { 0.0 };
    (0..n).map(|i| start + step(i) * (end - start)).collect()
}

/// The ends of a 1000-step schedule scaled to `n_steps`: `β·1000/T`.
fn scaled_ends(beta_start: f64, beta_end: f64, n_steps: usize) -> Result<(f64, f64), MathError> {
    if n_steps == 0 {
        return Err(MathError::NoSteps);
    }
    let scale = REFERENCE_STEPS / n_steps as f64;
    let beta_end = beta_end * scale;
    if beta_end >= 1.0 {
        return Err(MathError::TooFewSteps { n_steps, beta_end });
    }
    Ok((beta_start * scale, beta_end))
}

fn check_ends(beta_start: f64, beta_end: f64) -> Result<(), MathError> {
    for (what, value) in [("beta_start", beta_start), ("beta_end", beta_end)] {
        if !(value > 0.0 && value < 1.0) {
            return Err(MathError::OutOfRange { what, value, allowed: "0 < beta < 1" });
        }
    }
    if beta_start > beta_end {
        return Err(MathError::BetaRange { beta_start, beta_end });
    }
    Ok(())
}
