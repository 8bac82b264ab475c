//! What is asked of a pipeline, and what it gives.

use diffusion_samplers::TimestepSpacing;
use tch::Tensor;

/// Where sampling starts.
#[derive(Debug)]
pub enum InitialNoise {
    /// This many samples, drawn from the seed.
    Drawn(usize),
    /// These: N(0, 1), `[B, C, H, W]`; the scheduler scales them.
    Given(Tensor),
}

/// What is asked of a pipeline; where nothing is said, the pipeline's scheduler and diffusers' defaults hold.
#[derive(Debug)]
pub struct SampleRequest {
    /// Where sampling starts.
    pub initial_noise: InitialNoise,
    /// The key of all noise: sample i has the same noise whatever the batch.
    pub seed: u64,
    /// Classes: none, one for all samples, or one a sample.
    pub classes: Vec<i64>,
    /// `s` of `u + s·(c − u)`; 1 is no guidance.
    pub guidance_scale: f64,
    /// Sampling steps.
    pub n_steps: Option<usize>,
    /// A sampler by name, in place of the scheduler's own.
    pub sampler: Option<String>,
    /// Which timesteps, in place of the scheduler's own choice.
    pub timestep_spacing: Option<TimestepSpacing>,
    /// η of DDIM: 0 is deterministic, 1 is DDPM's ancestral step.
    pub eta: Option<f64>,
    /// Samples that go through the network at once, ≥ 1.
    pub batch_size: usize,
}

impl Default for SampleRequest {
    /// One sample of seed 0.
    fn default() -> Self {
        Self {
            initial_noise: InitialNoise::Drawn(1),
            seed: 0,
            classes: Vec::new(),
            guidance_scale: 1.0,
            n_steps: None,
            sampler: None,
            timestep_spacing: None,
            eta: None,
            batch_size: 64,
        }
    }
}

/// A step that was done, and where it led.
#[derive(Debug)]
pub struct SampleProgress<'a> {
    /// Index of the first sample of the batch.
    pub first_sample: usize,
    /// Samples in all.
    pub n_samples: usize,
    /// The step, from 1.
    pub step: usize,
    /// Steps in all.
    pub n_steps: usize,
    /// The batch after the step, `[B, C, H, W]`.
    pub x: &'a Tensor,
}

/// What a pipeline gives.
#[derive(Debug)]
pub struct Samples {
    /// The last state, `[N, C, H, W]`, not clamped.
    pub latents: Tensor,
    /// The picture, `[N, C, H, W]` in [0, 1].
    pub image: Tensor,
    /// The class of the scheduler that drew it.
    pub scheduler_class: String,
    /// Evaluations of the network for each sample.
    pub evaluations: usize,
}
