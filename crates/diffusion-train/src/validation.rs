//! What a configuration's types leave open, and what only several keys together can get wrong.

use diffusion_math::{DiscreteSchedule, Parameterization, ScheduleConfig};
use diffusion_models::{ModelError, TimeEmbeddingType, UNet2dConfig};

use crate::{DataKind, DataSection, ModelSection, RunConfig};

/// A value that the types allow and the field does not.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{key} = {given}: {allowed}")]
pub struct InvalidValue {
    /// The key, with its sections: `train.steps`.
    pub key: String,
    /// What was given.
    pub given: String,
    /// What is allowed.
    pub allowed: String,
}

impl RunConfig {
    /// Checks what the types leave open, and what only several keys together can get wrong.
    ///
    /// # Errors
    /// The first value that is not allowed.
    pub fn validate(&self) -> Result<(), InvalidValue> {
        let check = |good: bool, key: &str, given: String, allowed: &str| match good {
            true => Ok(()),
            false => Err(InvalidValue { key: key.into(), given, allowed: allowed.into() }),
        };
        let dir = self.run.dir.display().to_string();
        check(
            !dir.trim().is_empty(),
            "run.dir",
            "\"\"".into(),
            "expected a directory for this run",
        )?;
        let train = &self.train;
        let seed = train.seed;
        check(
            i64::try_from(seed).is_ok(),
            "train.seed",
            seed.to_string(),
            "expected at most 2^63 − 1",
        )?;
        check(train.steps >= 1, "train.steps", train.steps.to_string(), "expected at least 1")?;
        check(
            train.steps <= 1 << 40,
            "train.steps",
            train.steps.to_string(),
            "expected at most 2^40",
        )?;
        check(train.batch_size >= 1, "train.batch_size", "0".into(), "expected at least 1")?;
        check(
            train.batch_size <= 1 << 20,
            "train.batch_size",
            train.batch_size.to_string(),
            "expected at most 2^20",
        )?;
        check(
            train.checkpoint_every >= 1,
            "train.checkpoint_every",
            "0".into(),
            "expected at least 1",
        )?;
        self.data.validate()?;
        let size = self.data.size;
        check(
            (1..=4096).contains(&size),
            "data.size",
            size.to_string(),
            "expected 1 to 4096 pixels",
        )?;

        let optimizer = &self.optimizer;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let rate = optimizer.learning_rate;
        check(
            positive(rate),
            "optimizer.learning_rate",
            rate.to_string(),
            "expected a positive number",
        )?;
        check(
            positive(optimizer.eps),
            "optimizer.eps",
            optimizer.eps.to_string(),
            "expected a positive number",
        )?;
        let in_unit = |value: f64| (0.0..1.0).contains(&value);
        let betas = optimizer.betas;
        check(
            betas.iter().all(|b| in_unit(*b)),
            "optimizer.betas",
            format!("{betas:?}"),
            "expected two of [0, 1)",
        )?;
        let decay = optimizer.weight_decay;
        check(
            decay >= 0.0 && decay.is_finite(),
            "optimizer.weight_decay",
            decay.to_string(),
            "expected ≥ 0",
        )?;
        let norm = optimizer.max_gradient_norm;
        check(
            positive(norm),
            "optimizer.max_gradient_norm",
            norm.to_string(),
            "expected a positive number",
        )?;
        check(
            in_unit(self.ema.decay),
            "ema.decay",
            self.ema.decay.to_string(),
            "expected a number of [0, 1)",
        )?;
        let dropout = self.objective.class_dropout;
        check(
            (0.0..=1.0).contains(&dropout),
            "objective.class_dropout",
            dropout.to_string(),
            "expected 0 to 1",
        )?;

        let schedule =
            DiscreteSchedule::try_from(&self.schedule).map_err(|error| InvalidValue {
                key: "schedule".into(),
                given: describe(&self.schedule),
                allowed: error.to_string(),
            })?;
        let impossible = self.objective.prediction == Parameterization::Epsilon
            && schedule.has_zero_terminal_snr();
        let allowed = "the schedule ends in pure noise (zero terminal SNR), where the noise says nothing of the data: \
                       expected v_prediction or sample";
        check(!impossible, "objective.prediction", self.objective.prediction.to_string(), allowed)?;

        check(self.sampling.steps >= 1, "sampling.steps", "0".into(), "expected at least 1")?;
        let n_steps = schedule.n_steps();
        let steps = self.sampling.steps;
        check(
            steps <= n_steps,
            "sampling.steps",
            steps.to_string(),
            &format!("expected at most schedule.n_steps = {n_steps}"),
        )?;
        let scale = self.sampling.guidance_scale;
        check(
            scale.is_finite(),
            "sampling.guidance_scale",
            scale.to_string(),
            "expected a finite number",
        )?;
        #[expect(clippy::float_cmp, reason = "exactly 1 is no guidance")]
        let unguided = scale == 1.0;
        let guided = self.objective.class_conditional && dropout > 0.0;
        let allowed =
            "expected 1: guidance needs objective.class_conditional and a class_dropout above 0";
        check(unguided || guided, "sampling.guidance_scale", scale.to_string(), allowed)?;

        let ModelSection::UNet2d(unet) = &self.model;
        let rows = unet.num_train_timesteps.unwrap_or(0);
        check(
            unet.time_embedding_type != TimeEmbeddingType::Learned || rows >= n_steps as i64,
            "model.unet2d.num_train_timesteps",
            rows.to_string(),
            &format!("expected at least schedule.n_steps = {n_steps}"),
        )?;
        check(
            unet.time_embedding_type != TimeEmbeddingType::Fourier,
            "model.unet2d.time_embedding_type",
            "fourier".into(),
            "a discrete schedule asks at time 0, whose logarithm is no number: expected positional or learned",
        )?;
        self.check_model_against_data(unet)?;
        unet.validate().map_err(|error| self.model_error(error))?;
        let multiple = unet.size_multiple();
        check(
            size % multiple == 0,
            "data.size",
            size.to_string(),
            &format!(
                "expected a multiple of {multiple}: the network halves it {} times",
                unet.block_out_channels.len() - 1
            ),
        )
    }

    /// What the data decides must not be said again, differently, in the model.
    fn check_model_against_data(&self, unet: &UNet2dConfig) -> Result<(), InvalidValue> {
        let defaults = UNet2dConfig::default();
        let decided = [
            ("in_channels", unet.in_channels != defaults.in_channels),
            ("out_channels", unet.out_channels != defaults.out_channels),
            ("sample_size", unet.sample_size != defaults.sample_size),
            ("num_class_embeds", unet.num_class_embeds != defaults.num_class_embeds),
            ("class_embed_type", unet.class_embed_type != defaults.class_embed_type),
        ];
        match decided.iter().find(|(_, given)| *given) {
            Some((key, _)) => Err(InvalidValue {
                key: format!("model.unet2d.{key}"),
                given: "given".into(),
                allowed: "expected to be left out: the data and the objective decide it".into(),
            }),
            None => Ok(()),
        }
    }

    fn model_error(&self, error: ModelError) -> InvalidValue {
        match error {
            ModelError::InvalidConfig { key, value, allowed } => InvalidValue {
                key: format!("model.unet2d.{key}"),
                given: value,
                allowed: format!("expected {allowed}"),
            },
            other => InvalidValue {
                key: "model.unet2d".into(),
                given: "this table".into(),
                allowed: other.to_string(),
            },
        }
    }
}

impl DataSection {
    /// Each kind of data has keys of its own, and takes no other's.
    fn validate(&self) -> Result<(), InvalidValue> {
        let (name, needed): (_, &[&str]) = match self.kind {
            DataKind::Mnist => ("mnist", &["images", "labels"]),
            DataKind::Folder => ("folder", &["path"]),
        };
        let optional: &[&str] = if self.kind == DataKind::Folder { &["channels"] } else { &[] };
        let keys = [
            ("images", self.images.is_some()),
            ("labels", self.labels.is_some()),
            ("path", self.path.is_some()),
            ("channels", self.channels.is_some()),
        ];
        for (key, given) in keys {
            let refuse = |given: &str, allowed: String| {
                Err(InvalidValue { key: format!("data.{key}"), given: given.into(), allowed })
            };
            match given {
                false if needed.contains(&key) => {
                    return refuse("nothing", format!("data of kind {name} needs it"));
                }
                true if !needed.contains(&key) && !optional.contains(&key) => {
                    return refuse("given", format!("data of kind {name} has no such key"));
                }
                _ => {}
            }
        }
        match self.channels {
            None | Some(1 | 3) => Ok(()),
            Some(other) => Err(InvalidValue {
                key: "data.channels".into(),
                given: other.to_string(),
                allowed: "expected 1 (grey) or 3 (red, green, blue)".into(),
            }),
        }
    }
}

fn describe(schedule: &ScheduleConfig) -> String {
    let text = toml::to_string(schedule).unwrap_or_default();
    format!("{{ {} }}", text.trim().replace('\n', ", "))
}
