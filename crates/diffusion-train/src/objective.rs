//! What the network learns: its prediction at random levels of noise.

use diffusion_math::{DiscreteSchedule, KeyedNoise, Parameterization};
use diffusion_torch::host;
use tch::{Device, Kind, Tensor};

use crate::data::Batch;
use crate::{RunConfig, TrainError};

/// The simple loss of Ho et al. 2020 (arXiv:2006.11239, Eq. 14), for any prediction:
/// `L = E‖target − network(α_t·x₀ + σ_t·ε, t, class)‖²/d`, with t uniform over the T levels.
///
/// Everything random is keyed by the sample's position in the data order, so that a step is a function of its number.
#[derive(Debug)]
pub struct Objective {
    prediction: Parameterization,
    /// Per level, 1 … T: α, σ and the target's coefficients of x₀ and ε, and the time that the network is told.
    levels: Vec<Level>,
    /// The label "no class" and the probability of it; none, the network is not told the class.
    dropout: Option<(i64, f64)>,
    noise: KeyedNoise,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    alpha: f32,
    sigma: f32,
    target_x0: f32,
    target_eps: f32,
    time: f32,
}

/// What the network is shown, and what it should have said.
#[derive(Debug)]
pub(crate) struct Question {
    /// `[B, C, H, W]`
    pub(crate) x_t: Tensor,
    /// `[B]`
    pub(crate) time: Tensor,
    /// `[B]`, where the network has classes.
    pub(crate) labels: Option<Tensor>,
    /// `[B, C, H, W]`
    pub(crate) target: Tensor,
}

/// The draws of a sample: which of its random numbers is which.
const NOISE: u32 = 0;
const TIME: u32 = 1;
const CLASS: u32 = 2;

/// Keeps the noise of training apart from that of sampling under the same seed.
const TRAINING: u64 = 0x7472_6169_6e69_6e67;

impl Objective {
    /// The objective of a configuration over data of `n_classes` classes.
    ///
    /// # Errors
    /// Where the schedule is impossible.
    pub fn new(config: &RunConfig, n_classes: i64) -> Result<Self, TrainError> {
        let schedule = DiscreteSchedule::try_from(&config.schedule)?;
        let prediction = config.objective.prediction;
        let levels = (1..=schedule.n_steps())
            .map(|index| {
                let level = schedule.level(index);
                let (target_x0, target_eps) = prediction.target_coefficients(level);
                Level {
                    alpha: level.alpha() as f32,
                    sigma: level.sigma() as f32,
                    target_x0: target_x0 as f32,
                    target_eps: target_eps as f32,
                    time: level.time() as f32,
                }
            })
            .collect();
        let dropout = config
            .objective
            .class_conditional
            .then_some((n_classes, config.objective.class_dropout));
        Ok(Self {
            prediction,
            levels,
            dropout,
            noise: KeyedNoise::new(config.train.seed ^ TRAINING),
        })
    }

    /// What the network predicts.
    pub fn prediction(&self) -> Parameterization {
        self.prediction
    }

    /// Asks the questions of a batch whose first sample is at `position` of the data order.
    pub(crate) fn ask(&self, batch: &Batch, position: u64) -> Result<Question, TrainError> {
        let device = batch.x0.device();
        let shape = batch.x0.size();
        let n = shape[0] as usize;
        let positions = position..position + n as u64;
        let levels: Vec<Level> = positions
            .clone()
            .map(|p| self.levels[self.noise.below(p, TIME, self.levels.len() as u64) as usize])
            .collect();
        let column = |pick: fn(&Level) -> f32| -> Result<Tensor, TrainError> {
            let values: Vec<f32> = levels.iter().map(pick).collect();
            Ok(host::from_slice(&values, &[n as i64, 1, 1, 1])?.f_to_device(device)?)
        };
        let eps = self.noise_of(positions.clone(), &shape, device)?;
        let combine = |a: Tensor, b: Tensor| -> Result<Tensor, TrainError> {
            Ok(batch.x0.f_mul(&a)?.f_addcmul(&eps, &b)?)
        };
        let x_t = combine(column(|l| l.alpha)?, column(|l| l.sigma)?)?;
        let target = combine(column(|l| l.target_x0)?, column(|l| l.target_eps)?)?;
        let time = column(|l| l.time)?.f_view([n as i64])?;
        let labels = self
            .dropout
            .map(|dropout| self.drop_classes(&batch.labels, positions, dropout))
            .transpose()?;
        Ok(Question { x_t, time, labels, target })
    }

    fn noise_of(
        &self,
        positions: std::ops::Range<u64>,
        shape: &[i64],
        device: Device,
    ) -> Result<Tensor, TrainError> {
        let elements = shape[1..].iter().product::<i64>() as usize;
        let mut values = vec![0f32; shape[0] as usize * elements];
        for (row, position) in values.chunks_exact_mut(elements).zip(positions) {
            self.noise.fill_f32(position, NOISE, row);
        }
        Ok(host::from_slice(&values, shape)?.f_to_device(device)?)
    }

    fn drop_classes(
        &self,
        labels: &Tensor,
        positions: std::ops::Range<u64>,
        (no_class, probability): (i64, f64),
    ) -> Result<Tensor, TrainError> {
        let dropped: Vec<bool> =
            positions.map(|p| self.noise.uniform(p, CLASS) < probability).collect();
        let dropped =
            Tensor::f_from_slice(&dropped)?.f_to_kind(Kind::Bool)?.f_to_device(labels.device())?;
        Ok(labels.f_masked_fill(&dropped, no_class)?)
    }
}
