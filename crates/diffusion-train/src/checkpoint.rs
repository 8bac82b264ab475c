//! Checkpoints: everything that the next step depends on, written whole or not at all, checked when read.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use diffusion_models::{read_tensors, write_tensors};
use diffusion_torch::{RngState, host};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tch::Tensor;

use crate::run_dir::write_directory_atomically;
use crate::{RunDir, TrainError, Trainer};

const WEIGHTS: &str = "weights.safetensors";
const EMA: &str = "ema.safetensors";
const OPTIMIZER: &str = "optimizer.safetensors";
const RNG: &str = "rng.safetensors";
const STATE: &str = "state.json";
const CHECKSUMS: &str = "checksums.json";

/// `checkpoints/step-NNNNNN`: `weights.safetensors`, `ema.safetensors`, `optimizer.safetensors`, `rng.safetensors`,
/// `state.json` (step and data position) and `checksums.json` (SHA-256 of the others).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    path: PathBuf,
    step: u64,
}

/// A checkpoint that is not whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damaged {
    /// The checkpoint.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
}

/// What a checkpoint holds.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) step: u64,
    pub(crate) weights: BTreeMap<String, Tensor>,
    pub(crate) ema: BTreeMap<String, Tensor>,
    pub(crate) optimizer: BTreeMap<String, Tensor>,
    pub(crate) rng: RngState,
    pub(crate) threads: usize,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    /// Optimiser steps done.
    step: u64,
    /// Samples seen: the position in the data order.
    samples_seen: u64,
    /// Threads that libtorch used: another count gives other bits.
    threads: usize,
}

impl Checkpoint {
    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The steps done.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The checkpoints of a run, the latest first; what a crash left half-written is not one.
    ///
    /// # Errors
    /// Where the directory cannot be read.
    pub fn list(run: &RunDir) -> Result<Vec<Self>, TrainError> {
        let directory = run.checkpoints();
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TrainError::io("read", &directory)(error)),
        };
        let mut checkpoints = Vec::new();
        for entry in entries {
            let path = entry.map_err(TrainError::io("read", &directory))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if let Some(step) = step_of(&name) {
                checkpoints.push(Self { path, step });
            }
        }
        checkpoints.sort_by_key(|checkpoint| std::cmp::Reverse(checkpoint.step));
        Ok(checkpoints)
    }

    /// Checks that every file is there and is what was written.
    ///
    /// # Errors
    /// [`Damaged`] where one is missing, cut short or changed.
    pub fn verify(&self) -> Result<(), Damaged> {
        let damaged = |reason: String| Damaged { path: self.path.clone(), reason };
        let checksums: BTreeMap<String, String> = serde_json::from_str(&self.text(CHECKSUMS)?)
            .map_err(|e| damaged(format!("{CHECKSUMS}: {e}")))?;
        for name in [WEIGHTS, EMA, OPTIMIZER, RNG, STATE] {
            let expected = checksums
                .get(name)
                .ok_or_else(|| damaged(format!("{CHECKSUMS} does not name {name}")))?;
            let found = checksum(&self.path.join(name)).map_err(|e| damaged(e.to_string()))?;
            if *expected != found {
                return Err(damaged(format!(
                    "{name} is not what was written: its checksum differs"
                )));
            }
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Result<String, Damaged> {
        let damaged =
            |e| Damaged { path: self.path.clone(), reason: format!("cannot read {name}: {e}") };
        fs::read_to_string(self.path.join(name)).map_err(damaged)
    }

    /// Writes the state of `trainer`; the directory appears under its name only when all of it is on the disk.
    ///
    /// # Errors
    /// Where the disk is full or not writable; the checkpoints before are untouched then.
    pub(crate) fn write(
        run: &RunDir,
        trainer: &Trainer,
        samples_seen: u64,
    ) -> Result<Self, TrainError> {
        let step = trainer.steps_done();
        let path = run.checkpoints().join(format!("step-{step:06}"));
        write_directory_atomically(&path, |directory| {
            let weights = trainer.unet().parameters().iter().map(|p| (p.name.as_str(), &p.tensor));
            write_tensors(&directory.join(WEIGHTS), weights)?;
            write_tensors(&directory.join(EMA), trainer.averages())?;
            let optimizer = trainer.optimizer().state()?;
            write_tensors(
                &directory.join(OPTIMIZER),
                optimizer.iter().map(|(n, t)| (n.as_str(), t)),
            )?;
            let rng = rng_tensors(&trainer.rng()?)?;
            write_tensors(&directory.join(RNG), rng.iter().map(|(n, t)| (n.as_str(), t)))?;
            let state = State { step, samples_seen, threads: diffusion_torch::threads()?.intra_op };
            write_json(&directory.join(STATE), &state)?;
            let checksums = [WEIGHTS, EMA, OPTIMIZER, RNG, STATE]
                .into_iter()
                .map(|name| Ok((name.to_owned(), checksum(&directory.join(name))?)))
                .collect::<Result<BTreeMap<_, _>, TrainError>>()?;
            write_json(&directory.join(CHECKSUMS), &checksums)
        })?;
        Ok(Self { path, step })
    }

    /// Reads and checks everything.
    ///
    /// # Errors
    /// [`Damaged`] where a file is missing, cut short or changed.
    pub(crate) fn read(&self, batch_size: usize) -> Result<Contents, Damaged> {
        let damaged = |reason: String| Damaged { path: self.path.clone(), reason };
        self.verify()?;
        let state: State = serde_json::from_str(&self.text(STATE)?)
            .map_err(|e| damaged(format!("{STATE}: {e}")))?;
        if state.samples_seen != state.step.saturating_mul(batch_size as u64) {
            return Err(damaged(format!("{STATE} says {} samples were seen", state.samples_seen)));
        }
        if state.step != self.step {
            return Err(damaged(format!("{STATE} says step {}", state.step)));
        }
        let tensors =
            |name: &str| read_tensors(&self.path.join(name)).map_err(|e| damaged(e.to_string()));
        Ok(Contents {
            step: state.step,
            threads: state.threads,
            weights: tensors(WEIGHTS)?,
            ema: tensors(EMA)?,
            optimizer: tensors(OPTIMIZER)?,
            rng: rng_of(&tensors(RNG)?).map_err(|e| damaged(format!("{RNG}: {e}")))?,
        })
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    let text = serde_json::to_string_pretty(value).expect("numbers and strings");
    fs::write(path, text + "\n").map_err(TrainError::io("write", path))
}

fn checksum(path: &Path) -> Result<String, TrainError> {
    let bytes = fs::read(path).map_err(TrainError::io("read", path))?;
    Ok(Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect())
}

fn rng_tensors(rng: &RngState) -> Result<BTreeMap<String, Tensor>, TrainError> {
    let tensor =
        |bytes: &Vec<u8>| Ok::<_, TrainError>(host::from_slice(bytes, &[bytes.len() as i64])?);
    let mut tensors = BTreeMap::from([("cpu".to_owned(), tensor(&rng.cpu)?)]);
    for (index, state) in rng.cuda.iter().enumerate() {
        tensors.insert(format!("cuda.{index}"), tensor(state)?);
    }
    Ok(tensors)
}

fn rng_of(tensors: &BTreeMap<String, Tensor>) -> Result<RngState, String> {
    let bytes = |tensor: &Tensor| host::to_vec::<u8>(tensor).map_err(|e| e.to_string());
    let cpu = bytes(tensors.get("cpu").ok_or("cpu is missing")?)?;
    let cuda = (0..)
        .map_while(|i| tensors.get(&format!("cuda.{i}")))
        .map(bytes)
        .collect::<Result<_, _>>()?;
    Ok(RngState { cpu, cuda })
}

/// The step of `step-000012`.
fn step_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("step-")?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}
