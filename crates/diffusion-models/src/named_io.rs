//! A network run on tensors by name: what `diffusion forward` and parity tests need, whatever the class.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Kind, Tensor};

use crate::{ConfigFile, ModelError, Parameters, Placement, UNet2d};

/// Any network of this crate, its inputs and outputs by diffusers' names.
pub trait Network: std::fmt::Debug {
    /// diffusers' name of the class.
    fn class_name(&self) -> &'static str;

    /// The parameters by name.
    fn parameters(&self) -> &Parameters;

    /// Runs the network once, without gradients.
    ///
    /// # Errors
    /// Where an input is missing, unknown or of the wrong shape, or libtorch fails.
    fn run_named(
        &self,
        inputs: &BTreeMap<String, Tensor>,
    ) -> Result<BTreeMap<String, Tensor>, ModelError>;
}

/// Reads a model directory of any class that this crate knows.
///
/// # Errors
/// Where a file is absent or damaged, or the class is unknown; the message lists those that are known.
pub fn load_network(
    directory: &Path,
    placement: Placement,
) -> Result<Box<dyn Network>, ModelError> {
    let file = ConfigFile::read(directory)?;
    match file.class_name() {
        UNet2d::CLASS_NAME => Ok(Box::new(UNet2d::load(directory, placement)?)),
        other => {
            let reason = format!(
                "_class_name = \"{other}\": this class is not supported; {} is",
                UNet2d::CLASS_NAME
            );
            Err(ModelError::Config { path: file.path().to_owned(), reason })
        }
    }
}

impl Network for UNet2d {
    fn class_name(&self) -> &'static str {
        Self::CLASS_NAME
    }

    fn parameters(&self) -> &Parameters {
        self.parameters()
    }

    fn run_named(
        &self,
        inputs: &BTreeMap<String, Tensor>,
    ) -> Result<BTreeMap<String, Tensor>, ModelError> {
        let _no_grad = tch::no_grad_guard();
        let known = ["sample", "timestep", "class_labels"];
        if let Some(name) = inputs.keys().find(|name| !known.contains(&name.as_str())) {
            let expected = format!("one of {}", known.join(", "));
            return Err(ModelError::Input { name: "of the network", expected, got: name.clone() });
        }
        let required = |name| {
            let missing =
                || ModelError::Input { name, expected: "a tensor".into(), got: "none".into() };
            inputs.get(name).ok_or_else(missing)
        };
        let sample = required("sample")?.f_to_kind(Kind::Float)?;
        // One time for the whole batch, or one a sample, as diffusers has it.
        let batch = sample.size().first().copied().unwrap_or(0);
        let timestep = required("timestep")?.f_reshape([-1])?;
        let timestep =
            if timestep.numel() == 1 { timestep.f_expand([batch], false)? } else { timestep };
        let out = self.forward(&sample, &timestep, inputs.get("class_labels"))?;
        Ok(BTreeMap::from([("sample".to_owned(), out)]))
    }
}
