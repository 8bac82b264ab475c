//! `diffusion inspect`: what a directory holds, checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use diffusion_models::{ConfigFile, Network, Placement, load_network};
use diffusion_pipelines::{ModelIndex, PixelPipeline};
use diffusion_train::{Checkpoint, RunConfig, RunDir, read_metrics};
use serde_json::{Value, json};

use crate::exit::usage;
use crate::output::outln;

/// Say what a run, a pipeline or a model directory holds, and check its files
#[derive(Debug, clap::Args)]
pub(crate) struct Inspect {
    /// A run, a directory with model_index.json, or one with config.json
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

impl Inspect {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let directory = self.directory.as_path();
        let found = if !directory.is_dir() {
            return Err(usage(anyhow!("{} is not a directory", directory.display())));
        } else if directory.join("model_index.json").exists() {
            pipeline(directory)?
        } else if directory.join("config.json").exists() {
            model(directory)?
        } else if RunDir::new(directory).config().exists() {
            run(directory)?
        } else {
            let expected = "expected a run (config.toml), a pipeline (model_index.json) or a model (config.json)";
            return Err(usage(anyhow!("{}: {expected}", directory.display())));
        };
        if self.json {
            outln!("{found:#}");
        } else {
            print_tree(&found, 0);
        }
        let damaged = |checkpoint: &&Value| checkpoint["state"] != "whole";
        match found["checkpoints"].as_array().and_then(|all| all.iter().find(damaged)) {
            Some(checkpoint) => Err(anyhow!(
                "the checkpoint of step {} is damaged: {}",
                checkpoint["step"],
                checkpoint["state"].as_str().unwrap_or_default()
            )),
            None => Ok(()),
        }
    }
}

fn model(directory: &Path) -> anyhow::Result<Value> {
    let network = load_network(directory, Placement::on(tch::Device::Cpu))?;
    describe(&*network, directory)
}

fn describe(network: &dyn Network, directory: &Path) -> anyhow::Result<Value> {
    let config: Value =
        serde_json::from_str(&std::fs::read_to_string(ConfigFile::read(directory)?.path())?)?;
    let parameters = network.parameters();
    // Parameters by the part of the network that they belong to: the first name, with its index where it has one.
    let mut parts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for parameter in parameters {
        let mut names = parameter.name.split('.');
        let first = names.next().unwrap_or_default();
        let part = match names.next().filter(|second| second.parse::<usize>().is_ok()) {
            Some(index) => format!("{first}.{index}"),
            None => first.to_owned(),
        };
        let entry = parts.entry(part).or_default();
        entry.0 += 1;
        entry.1 += parameter.tensor.numel();
    }
    let parts: serde_json::Map<String, Value> = parts
        .into_iter()
        .map(|(part, (tensors, numbers))| {
            (part, json!({ "tensors": tensors, "parameters": numbers }))
        })
        .collect();
    let shown = |key: &&String| !key.starts_with('_');
    let config: serde_json::Map<String, Value> = config
        .as_object()
        .map(|keys| {
            keys.iter().filter(|(k, _)| shown(k)).map(|(k, v)| (k.clone(), v.clone())).collect()
        })
        .unwrap_or_default();
    Ok(json!({
        "kind": "model",
        "class": network.class_name(),
        "parameters": parameters.count(),
        "tensors": parameters.iter().count(),
        "bytes": parameters.bytes(),
        "parts": parts,
        "config": config,
    }))
}

fn pipeline(directory: &Path) -> anyhow::Result<Value> {
    let index = ModelIndex::read(directory)?;
    let pipeline = PixelPipeline::load(directory, Placement::on(tch::Device::Cpu))?;
    let scheduler: Value = serde_json::from_str(&pipeline.scheduler().to_json())?;
    Ok(json!({
        "kind": "pipeline",
        "class": index.class_name,
        "classes": pipeline.n_classes(),
        "unet": describe(pipeline.unet(), &directory.join("unet"))?,
        "scheduler": scheduler,
    }))
}

fn run(directory: &Path) -> anyhow::Result<Value> {
    let run = RunDir::new(directory);
    let config = RunConfig::read(&run.config(), &[])?;
    let checkpoints: Vec<Value> = Checkpoint::list(&run)?
        .iter()
        .map(|checkpoint| {
            let state =
                checkpoint.verify().map_or_else(|damaged| damaged.reason, |()| "whole".to_owned());
            json!({ "step": checkpoint.step(), "state": state })
        })
        .collect();
    let metrics = if run.metrics().exists() { read_metrics(&run.metrics())? } else { Vec::new() };
    let has_pipeline = run.pipeline().exists();
    Ok(json!({
        "kind": "run",
        "steps": config.train.steps,
        "steps_logged": metrics.last().map_or(0, |line| line.step),
        "loss": metrics.last().map(|line| line.loss),
        "checkpoints": checkpoints,
        "pipeline": if has_pipeline { pipeline(&run.pipeline())? } else { Value::Null },
    }))
}

/// Objects as an indented tree, everything else as compact JSON.
fn print_tree(value: &Value, depth: usize) {
    let Some(object) = value.as_object() else { return };
    for (key, value) in object {
        let indent = "  ".repeat(depth);
        match value {
            Value::Object(_) => {
                outln!("{indent}{key}");
                print_tree(value, depth + 1);
            }
            Value::String(text) => outln!("{indent}{key}: {text}"),
            other => outln!("{indent}{key}: {other}"),
        }
    }
}
