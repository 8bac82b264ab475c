//! `diffusion forward`: one run of a network on given tensors, and a comparison with given results.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use anyhow::{anyhow, bail};
use diffusion_models::{Placement, load_network, read_tensors, write_tensors};
use tch::{Kind, Tensor};

use super::DeviceArgument;
use crate::exit::usage;
use crate::output::outln;

/// Run a model once on the tensors `in.*` of a file
#[derive(Debug, clap::Args)]
pub(crate) struct Forward {
    /// A model directory: config.json and safetensors
    #[arg(value_name = "MODEL_DIR")]
    directory: PathBuf,
    /// The file with the inputs `in.*`, and the expected `out.*`
    #[arg(long, value_name = "FILE.safetensors")]
    io: PathBuf,
    /// Write the outputs `out.*` here
    #[arg(long, value_name = "FILE.safetensors")]
    out: Option<PathBuf>,
    /// Compare with the file's `out.*`; exit 1 where one differs by more than this
    #[arg(long, value_name = "TOL", allow_negative_numbers = true)]
    check: Option<f64>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    device: DeviceArgument,
}

impl Forward {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if let Some(tolerance) = self.check.filter(|t| !(*t >= 0.0 && t.is_finite())) {
            return Err(usage(anyhow!("--check {tolerance}: expected a number ≥ 0")));
        }
        let device = self.device.select()?;
        let network = load_network(&self.directory, Placement::on(device))?;
        let mut inputs = BTreeMap::new();
        let mut expected = BTreeMap::new();
        for (name, tensor) in read_tensors(&self.io)? {
            match name.split_once('.') {
                Some(("in", input)) => inputs.insert(input.to_owned(), tensor.f_to_device(device)?),
                Some(("out", output)) => expected.insert(output.to_owned(), tensor),
                _ => bail!("{}: tensor {name} is neither in.* nor out.*", self.io.display()),
            };
        }
        let outputs = network.run_named(&inputs)?;
        if let Some(path) = &self.out {
            let named: Vec<(String, &Tensor)> =
                outputs.iter().map(|(n, t)| (format!("out.{n}"), t)).collect();
            write_tensors(path, named.iter().map(|(n, t)| (n.as_str(), *t)))?;
        }
        match self.check {
            Some(tolerance) => self.compare(&outputs, &expected, tolerance),
            None => {
                let shapes: BTreeMap<String, Vec<i64>> = outputs
                    .iter()
                    .map(|(name, tensor)| (format!("out.{name}"), tensor.size()))
                    .collect();
                if self.json {
                    outln!("{:#}", serde_json::json!({ "outputs": shapes }));
                } else {
                    shapes.iter().for_each(|(name, shape)| outln!("{name} {shape:?}"));
                }
                Ok(())
            }
        }
    }

    fn compare(
        &self,
        outputs: &BTreeMap<String, Tensor>,
        expected: &BTreeMap<String, Tensor>,
        tolerance: f64,
    ) -> anyhow::Result<()> {
        let names: BTreeSet<&String> = outputs.keys().chain(expected.keys()).collect();
        let mut differences = BTreeMap::new();
        let mut faults = Vec::new();
        for name in names {
            match (outputs.get(name), expected.get(name)) {
                (Some(found), Some(wanted))
                    if found.size() == wanted.size() && wanted.numel() > 0 =>
                {
                    let difference = max_abs_difference(found, wanted)?;
                    differences.insert(format!("out.{name}"), difference);
                    if !difference.is_finite() {
                        faults.push(format!("out.{name} has a value that is not finite"));
                    } else if difference > tolerance {
                        faults.push(format!(
                            "out.{name} differs by {difference:.3e}, allowed is {tolerance:e}"
                        ));
                    }
                }
                (Some(found), Some(wanted)) => {
                    faults.push(format!(
                        "out.{name} has shape {:?}, the file has {:?}",
                        found.size(),
                        wanted.size()
                    ));
                }
                (Some(_), None) => faults.push(format!("out.{name} is not in the file")),
                (None, _) => faults.push(format!("out.{name} is not an output of the model")),
            }
        }
        if differences.is_empty() {
            faults.push("nothing was compared".to_owned());
        }
        if self.json {
            let result = serde_json::json!({ "max_abs_difference": differences, "tolerance": tolerance, "faults": faults });
            outln!("{result:#}");
        } else {
            differences.iter().for_each(|(name, d)| outln!("{name}: max abs difference {d:.3e}"));
        }
        if faults.is_empty() { Ok(()) } else { Err(anyhow!(faults.join("\n"))) }
    }
}

/// `max |a − b|` in f64; NaN where either has a value that is not finite.
fn max_abs_difference(a: &Tensor, b: &Tensor) -> anyhow::Result<f64> {
    let cpu = |t: &Tensor| t.f_to_device(tch::Device::Cpu)?.f_to_kind(Kind::Double);
    let (a, b) = (cpu(a)?, cpu(b)?);
    let finite = |t: &Tensor| t.f_isfinite()?.f_all()?.f_int64_value(&[]);
    if finite(&a)? == 0 || finite(&b)? == 0 {
        return Ok(f64::NAN);
    }
    Ok(a.f_sub(&b)?.f_abs()?.f_max()?.f_double_value(&[])?)
}
