//! diffusers' `scheduler_config.json`: read, written, and turned into a schedule, a grid and a sampler.
//!
//! One file per scheduler class, each with every option that the class documents in diffusers 0.42.1. A key that a class
//! does not have, or a value that is not supported, is an error that names it: nothing is ignored in silence.

mod beta_schedule;
mod clipping_keys;
mod ddim;
mod ddpm;

use diffusion_math::{DiscreteSchedule, Parameterization, ScheduleConfig, State};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{NoiseGrid, Sampler, SetupError, TimestepSpacing};
use beta_schedule::Betas;
use ddim::DdimConfig;
use ddpm::DdpmConfig;

/// The layout that is read and written.
const DIFFUSERS_VERSION: &str = "0.42.1";

/// What the caller of a sampler chooses beside the file; diffusers has these as arguments of `step`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct SamplerOptions {
    /// η in [0, 1] of DDIM, 0 where nothing is said; an error for a class that has none.
    pub eta: Option<f64>,
    /// Whether DDIM makes ε̂ of the clipped x̂₀ (diffusers' `use_clipped_model_output`); an error for a class without.
    pub use_clipped_model_output: bool,
}

/// A scheduler file: how the network was trained, and how it is to be sampled.
///
/// ```
/// use diffusion_math::{GaussianDenoiser, KeyedNoise};
/// use diffusion_samplers::{SamplerOptions, SchedulerConfig, Trajectory};
/// let config = SchedulerConfig::from_json(
///     r#"{"_class_name": "DDIMScheduler", "beta_schedule": "scaled_linear", "clip_sample": false}"#,
/// )?;
/// let grid = config.grid(20)?;
/// let sampler = config.sampler::<f64>(&SamplerOptions::default())?;
/// let data = GaussianDenoiser::new(0.5, 0.25)?;
/// let mut noise = KeyedNoise::new(0);
/// let x0 = Trajectory::new(&*sampler, &data, &grid, config.init_noise_sigma() * 0.3, &mut noise).finish()?;
/// assert!(x0.is_finite());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct SchedulerConfig {
    class: Class,
    schedule: DiscreteSchedule,
    /// Keys that no class reads: those with an underscore, and those that diffusers' own files carry beside their class's.
    extra: Map<String, Value>,
}

/// The scheduler classes.
#[derive(Debug, Clone, PartialEq)]
enum Class {
    Ddpm(DdpmConfig),
    Ddim(DdimConfig),
}

/// What each class's file gives.
trait SchedulerClass: Serialize + DeserializeOwned + Default {
    /// diffusers' class name.
    const NAME: &'static str;
    /// The keys of β.
    fn betas(&self) -> Betas<'_>;
    /// What the network predicts.
    fn parameterization(&self) -> Parameterization;
    /// Refuses values that are documented and not supported, or out of range.
    fn check(&self) -> Result<(), SetupError>;
    /// The grid of n steps.
    fn grid(&self, schedule: &DiscreteSchedule, n_steps: usize) -> Result<NoiseGrid, SetupError>;
    /// The sampler.
    fn sampler<S: State>(
        &self,
        options: &SamplerOptions,
    ) -> Result<Box<dyn Sampler<S>>, SetupError>;
    /// The same with other timesteps.
    fn set_timestep_spacing(&mut self, spacing: TimestepSpacing);
    /// The same with x̂₀ clipped to `[−bound, bound]`, or not at all.
    fn set_clipping(&mut self, bound: Option<f64>);
}

/// Does the same with whichever class it is.
macro_rules! of_class {
    ($class:expr, $config:ident => $body:expr) => {
        match $class {
            Class::Ddpm($config) => $body,
            Class::Ddim($config) => $body,
        }
    };
}

impl SchedulerConfig {
    /// The class names that are supported.
    pub const CLASSES: [&'static str; 2] = [DdpmConfig::NAME, DdimConfig::NAME];

    /// Keys that files in the wild carry beside their class's own, and that diffusers ignores: Stable Diffusion 2 writes
    /// PNDM's `skip_prk_steps` into a DDIM file.
    const IGNORED_KEYS: [&'static str; 1] = ["skip_prk_steps"];

    /// Reads a scheduler file.
    ///
    /// # Errors
    /// No JSON object, a missing or unsupported class, an unknown key, a value of the wrong type, or one that is not
    /// supported; each names it.
    pub fn from_json(json: &str) -> Result<Self, SetupError> {
        let values: Map<String, Value> = serde_json::from_str(json)
            .map_err(|source| SetupError::Json { place: "scheduler file".into(), source })?;
        let name = match values.get("_class_name") {
            Some(Value::String(name)) if Self::CLASSES.contains(&name.as_str()) => name.clone(),
            Some(Value::String(name)) => return Err(Self::unknown(name)),
            _ => return Err(SetupError::NoClass { supported: Self::CLASSES.join(", ") }),
        };
        let (extra, values) = values.into_iter().partition(|(key, _)| {
            key.starts_with('_') || Self::IGNORED_KEYS.contains(&key.as_str())
        });
        Self::from_values(&name, &values, extra)
    }

    /// The scheduler of a newly trained network, of the named class.
    ///
    /// # Errors
    /// A schedule that is none, a class that does not have it, or ε-prediction with zero terminal signal.
    pub fn for_training(
        class: &str,
        schedule: &ScheduleConfig,
        parameterization: Parameterization,
    ) -> Result<Self, SetupError> {
        let values = beta_schedule::values_of(schedule, parameterization)?;
        let config = Self::from_values(class, &values, Map::new())?;
        if config.schedule.has_zero_terminal_snr() && parameterization == Parameterization::Epsilon
        {
            return Err(SetupError::EpsilonAtZeroSnr {
                timestep: config.schedule.level(config.n_train_steps()).time(),
            });
        }
        Ok(config)
    }

    /// DDPM's scheduler of a newly trained network.
    ///
    /// # Errors
    /// As [`for_training`](Self::for_training).
    pub fn ddpm(
        schedule: &ScheduleConfig,
        parameterization: Parameterization,
    ) -> Result<Self, SetupError> {
        Self::for_training(DdpmConfig::NAME, schedule, parameterization)
    }

    /// DDIM's scheduler of a newly trained network.
    ///
    /// # Errors
    /// As [`for_training`](Self::for_training).
    pub fn ddim(
        schedule: &ScheduleConfig,
        parameterization: Parameterization,
    ) -> Result<Self, SetupError> {
        Self::for_training(DdimConfig::NAME, schedule, parameterization)
    }

    /// The same training schedule under another class, `DDIMScheduler` or `ddim`: what diffusers' `from_config` does. Keys
    /// that the new class does not have are dropped, those that the old one lacks take the new one's defaults.
    ///
    /// # Errors
    /// An unsupported class, or one that does not have this schedule.
    pub fn with_class(&self, class: &str) -> Result<Self, SetupError> {
        let canonical = Self::canonical(class)?;
        if canonical == self.class_name() {
            return Ok(self.clone());
        }
        let known = if canonical == DdpmConfig::NAME {
            values(&DdpmConfig::default())
        } else {
            values(&DdimConfig::default())
        };
        let mut values = of_class!(&self.class, config => values(config));
        values.retain(|key, _| known.contains_key(key));
        let mut extra = self.extra.clone();
        extra.retain(|key, _| key.starts_with('_') && key != "_class_name");
        Self::from_values(canonical, &values, extra)
    }

    /// The same scheduler with x̂₀ clamped to `[−bound, bound]`, or left as it is: pixels are clipped, latents are not.
    ///
    /// # Errors
    /// A bound that is not positive.
    pub fn with_clipping(mut self, bound: Option<f64>) -> Result<Self, SetupError> {
        of_class!(&mut self.class, config => { config.set_clipping(bound); config.check()? });
        Ok(self)
    }

    /// The same scheduler with other timesteps. Only trailing and linspace visit the last, noisiest level: where it has
    /// hardly any signal left, a trajectory of fresh noise that starts below it starts from pictures of the wrong
    /// brightness (Lin et al. 2023, arXiv:2305.08891, §3.3).
    #[must_use]
    pub fn with_timestep_spacing(mut self, spacing: TimestepSpacing) -> Self {
        of_class!(&mut self.class, config => config.set_timestep_spacing(spacing));
        self
    }

    /// The file's text: every key of the class, as diffusers writes it.
    pub fn to_json(&self) -> String {
        let mut values = of_class!(&self.class, config => values(config));
        values.extend(self.extra.clone());
        values.insert("_class_name".into(), self.class_name().into());
        values.entry("_diffusers_version").or_insert_with(|| DIFFUSERS_VERSION.into());
        let text =
            serde_json::to_string_pretty(&values).expect("numbers, strings and lists are JSON");
        text + "\n"
    }

    /// diffusers' class name.
    pub fn class_name(&self) -> &'static str {
        match self.class {
            Class::Ddpm(_) => DdpmConfig::NAME,
            Class::Ddim(_) => DdimConfig::NAME,
        }
    }

    /// The training schedule.
    pub fn schedule(&self) -> &DiscreteSchedule {
        &self.schedule
    }

    /// T, the number of training steps.
    pub fn n_train_steps(&self) -> usize {
        self.schedule.n_steps()
    }

    /// What the network predicts.
    pub fn parameterization(&self) -> Parameterization {
        of_class!(&self.class, config => config.parameterization())
    }

    /// The scale of the noise that a trajectory starts from: x_T is this times `N(0, I)`.
    pub fn init_noise_sigma(&self) -> f64 {
        1.0
    }

    /// The levels of `n_steps` steps, as diffusers' `set_timesteps` chooses them.
    ///
    /// # Errors
    /// No step, more than T, an offset past the schedule's end, or ε-prediction at a level without signal.
    pub fn grid(&self, n_steps: usize) -> Result<NoiseGrid, SetupError> {
        let grid = of_class!(&self.class, config => config.grid(&self.schedule, n_steps))?;
        if self.parameterization() == Parameterization::Epsilon && grid.first().alpha() == 0.0 {
            return Err(SetupError::EpsilonAtZeroSnr { timestep: grid.first().time() });
        }
        Ok(grid)
    }

    /// The sampler that diffusers runs for this file.
    ///
    /// # Errors
    /// An option that the class does not have, or one out of its range.
    pub fn sampler<S: State>(
        &self,
        options: &SamplerOptions,
    ) -> Result<Box<dyn Sampler<S>>, SetupError> {
        of_class!(&self.class, config => config.sampler(options))
    }

    /// The class's full name, from that or a short one, in any case.
    fn canonical(class: &str) -> Result<&'static str, SetupError> {
        let short = |name: &str| name.to_ascii_lowercase().trim_end_matches("scheduler").to_owned();
        let found = Self::CLASSES.into_iter().find(|name| short(name) == short(class));
        found.ok_or_else(|| Self::unknown(class))
    }

    fn unknown(class: &str) -> SetupError {
        SetupError::UnknownClass { class: class.into(), supported: Self::CLASSES.join(", ") }
    }

    fn from_values(
        class: &str,
        values: &Map<String, Value>,
        extra: Map<String, Value>,
    ) -> Result<Self, SetupError> {
        let class = Self::canonical(class)?;
        let class = if class == DdpmConfig::NAME {
            Class::Ddpm(parse(values)?)
        } else {
            Class::Ddim(parse(values)?)
        };
        let schedule = of_class!(&class, config => {
            config.check()?;
            config.betas().schedule()?
        });
        Ok(Self { class, schedule, extra })
    }
}

/// A class's keys and values.
fn values<C: SchedulerClass>(config: &C) -> Map<String, Value> {
    match serde_json::to_value(config).expect("numbers, strings and lists are JSON") {
        Value::Object(values) => values,
        _ => unreachable!("a struct is a JSON object"),
    }
}

/// Reads a class's keys; an error names the key.
fn parse<C: SchedulerClass>(values: &Map<String, Value>) -> Result<C, SetupError> {
    let error = match serde_json::from_value(Value::Object(values.clone())) {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    // serde says what is wrong and not where: the key that fails alone is the one.
    let place = |key: Option<&String>| match key {
        Some(key) => format!("{}, key `{key}`", C::NAME),
        None => C::NAME.to_owned(),
    };
    for (key, value) in values {
        let alone = Map::from_iter([(key.clone(), value.clone())]);
        if let Err(source) = serde_json::from_value::<C>(Value::Object(alone)) {
            return Err(SetupError::Json { place: place(Some(key)), source });
        }
    }
    Err(SetupError::Json { place: place(None), source: error })
}
