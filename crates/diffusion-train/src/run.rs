//! A run: a trainer, its directory, and what is written when.

use std::fs::File;

use diffusion_pipelines::PixelPipeline;
use diffusion_samplers::TimestepSpacing;
use diffusion_samplers::scheduler::SchedulerConfig;
use tch::Device;

use crate::metrics::MetricsLog;
use crate::run_dir::{remove_leftovers, write_directory_atomically};
use crate::{Checkpoint, Damaged, RunConfig, RunDir, StepReport, TrainError, Trainer};

/// Steps between two looks at the losses, which wait for the device.
const REPORT_EVERY: u64 = 10;

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In an empty directory.
    Fresh,
    /// From the last whole checkpoint; with none, at step 0.
    Resume,
}

/// What opening a run found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The step that the run goes on from; 0 at its beginning.
    pub step: u64,
    /// Checkpoints that were passed over because they are not whole.
    pub damaged: Vec<Damaged>,
    /// The threads that the checkpoint was made with: with others, the last bits of the weights will be others.
    pub threads: Option<usize>,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Steps done.
    pub step: u64,
    /// Steps in all.
    pub steps: u64,
    /// What the steps since the last report did; empty between reports.
    pub reports: Vec<StepReport>,
    /// The checkpoint that was written, if one was.
    pub checkpoint: Option<Checkpoint>,
}

/// A run in its directory.
#[derive(Debug)]
pub struct TrainingRun {
    config: RunConfig,
    directory: RunDir,
    trainer: Trainer,
    metrics: MetricsLog,
    last_checkpoint: Option<Checkpoint>,
    exported: bool,
    /// Held as long as the run is open: two processes in one directory would take each other's files away.
    _lock: File,
}

impl TrainingRun {
    /// Opens the run of a configuration.
    ///
    /// # Errors
    /// Where a fresh run's directory is not empty, a resumed run's configuration contradicts what it was started with, the
    /// data or the network is impossible, or a file cannot be read or written.
    pub fn open(
        config: RunConfig,
        start: Start,
        device: Device,
    ) -> Result<(Self, Opened), TrainError> {
        let directory = RunDir::new(&config.run.dir);
        if start == Start::Fresh && !directory.is_empty()? {
            return Err(TrainError::NotEmpty { path: directory.root().to_owned() });
        }
        if start == Start::Resume {
            if directory.config().exists() {
                refuse_contradictions(&directory, &config)?;
            } else if let Some(found) = directory.foreign()? {
                return Err(TrainError::NotARun { path: directory.root().to_owned(), found });
            }
        }
        // Everything that can be wrong with data and network is found before the directory is touched.
        let mut trainer = Trainer::new(&config, device)?;
        directory.create()?;
        let lock = directory.lock()?;
        remove_leftovers(directory.root())?;
        remove_leftovers(&directory.checkpoints())?;
        let Restored { checkpoint, damaged, threads } =
            restore_latest(&directory, &mut trainer, config.train.batch_size)?;
        let step = trainer.steps_done();
        if step > config.train.steps {
            return Err(TrainError::StepsDone { asked: config.train.steps, done: step });
        }
        directory.write_config(&config.to_toml())?;
        let metrics = MetricsLog::open_after(&directory.metrics(), step)?;
        let run = Self {
            config,
            directory,
            trainer,
            metrics,
            last_checkpoint: checkpoint,
            exported: false,
            _lock: lock,
        };
        Ok((run, Opened { step, damaged, threads }))
    }

    /// Does the next step, and writes what is due after it; `None` when the run is finished, its last checkpoint and its
    /// pipeline written. `clock` gives seconds since the caller began.
    ///
    /// # Errors
    /// Where the device fails, the loss is not finite, or a file cannot be written.
    pub fn advance(&mut self, clock: &dyn Fn() -> f64) -> Result<Option<Progress>, TrainError> {
        let steps = self.config.train.steps;
        if self.trainer.steps_done() >= steps {
            self.export()?;
            return Ok(None);
        }
        self.trainer.step()?;
        let step = self.trainer.steps_done();
        let due = step.is_multiple_of(self.config.train.checkpoint_every) || step == steps;
        let reports = if due || step.is_multiple_of(REPORT_EVERY) {
            self.report(clock())?
        } else {
            Vec::new()
        };
        let checkpoint = due.then(|| self.write_checkpoint()).transpose()?;
        Ok(Some(Progress { step, steps, reports, checkpoint }))
    }

    /// Writes a checkpoint of the present step, unless there is one: for a run that is to end early.
    ///
    /// # Errors
    /// Where the loss is not finite or a file cannot be written.
    pub fn checkpoint_now(&mut self, clock: &dyn Fn() -> f64) -> Result<Checkpoint, TrainError> {
        self.report(clock())?;
        match &self.last_checkpoint {
            Some(checkpoint) if checkpoint.step() == self.trainer.steps_done() => {
                Ok(checkpoint.clone())
            }
            _ => self.write_checkpoint(),
        }
    }

    /// The run's files.
    pub fn directory(&self) -> &RunDir {
        &self.directory
    }

    /// The computation.
    pub fn trainer(&self) -> &Trainer {
        &self.trainer
    }

    /// The configuration.
    pub fn config(&self) -> &RunConfig {
        &self.config
    }

    fn report(&mut self, seconds: f64) -> Result<Vec<StepReport>, TrainError> {
        let reports = self.trainer.take_reports()?;
        self.metrics.append(&reports, seconds)?;
        match reports
            .iter()
            .find(|report| !report.loss.is_finite() || !report.gradient_norm.is_finite())
        {
            Some(report) => Err(TrainError::Diverged {
                step: report.step,
                loss: report.loss,
                gradient_norm: report.gradient_norm,
                last: self.last_checkpoint.as_ref().map(|c| c.path().to_owned()),
            }),
            None => Ok(reports),
        }
    }

    fn write_checkpoint(&mut self) -> Result<Checkpoint, TrainError> {
        self.metrics.sync()?;
        let samples_seen = self.trainer.steps_done() * self.config.train.batch_size as u64;
        let checkpoint = Checkpoint::write(&self.directory, &self.trainer, samples_seen)?;
        self.last_checkpoint = Some(checkpoint.clone());
        Ok(checkpoint)
    }

    /// Writes the averaged model as a pipeline, once a process: a resumed, finished run may lack it or have an older one.
    fn export(&mut self) -> Result<(), TrainError> {
        if self.exported {
            return Ok(());
        }
        // Trailing: the trajectory starts at the noisiest level, so that its pictures have the data's brightness. No
        // clipping: diffusers' DDIM clips x̂₀ and keeps the ε̂ that belongs to the unclipped one, and under guidance, where
        // x̂₀ leaves [−1, 1] at every noisy step, the two drift apart.
        let scheduler =
            SchedulerConfig::ddim(&self.config.schedule, self.config.objective.prediction)?
                .with_timestep_spacing(TimestepSpacing::Trailing)
                .with_clipping(None)?;
        let pipeline = PixelPipeline::new(self.trainer.averaged_unet()?, scheduler);
        write_directory_atomically(&self.directory.pipeline(), |directory| {
            Ok(pipeline.save(directory)?)
        })?;
        self.exported = true;
        Ok(())
    }
}

fn refuse_contradictions(directory: &RunDir, config: &RunConfig) -> Result<(), TrainError> {
    let path = directory.config();
    let text = std::fs::read_to_string(&path).map_err(TrainError::io("read", &path))?;
    let started: RunConfig = toml::from_str(&text).map_err(|error| TrainError::Checkpoint {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    let keys = started.contradictions(config);
    if keys.is_empty() { Ok(()) } else { Err(TrainError::Contradiction { path, keys }) }
}

/// What a run goes on from.
struct Restored {
    checkpoint: Option<Checkpoint>,
    damaged: Vec<Damaged>,
    threads: Option<usize>,
}

fn restore_latest(
    directory: &RunDir,
    trainer: &mut Trainer,
    batch_size: usize,
) -> Result<Restored, TrainError> {
    let mut damaged = Vec::new();
    for checkpoint in Checkpoint::list(directory)? {
        match checkpoint.read(batch_size) {
            Ok(contents) => {
                trainer.restore(&contents)?;
                let threads = Some(contents.threads);
                return Ok(Restored { checkpoint: Some(checkpoint), damaged, threads });
            }
            Err(reason) => damaged.push(reason),
        }
    }
    Ok(Restored { checkpoint: None, damaged, threads: None })
}
