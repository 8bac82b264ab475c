//! One training step after another: batch, loss, gradients, optimiser, average.

use diffusion_models::{ParameterBuilder, Placement, UNet2d};
use diffusion_torch::{AdamW, AdamWConfig, RngState, clip_grad_norm, manual_seed, memory_format};
use tch::{Device, Reduction, Tensor};

use crate::data::{DataOrder, ImageDataset};
use crate::{Ema, Objective, RunConfig, TrainError, learning_rate};

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepReport {
    /// The step, from 1.
    pub step: u64,
    /// The mean squared error of the prediction.
    pub loss: f64,
    /// The gradient's global norm before clipping.
    pub gradient_norm: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
}

/// A step whose loss is still on the device: asking for it would wait.
#[derive(Debug)]
struct Pending {
    step: u64,
    loss: Tensor,
    gradient_norm: Tensor,
    learning_rate: f64,
}

/// The computation of a run, without its files.
#[derive(Debug)]
pub struct Trainer {
    config: RunConfig,
    device: Device,
    data: ImageDataset,
    order: DataOrder,
    objective: Objective,
    unet: UNet2d,
    optimizer: AdamW,
    ema: Ema,
    step: u64,
    pending: Vec<Pending>,
}

impl Trainer {
    /// Reads the data and draws the weights; no step is done yet.
    ///
    /// # Errors
    /// Where the data is absent or damaged, the network impossible, or the device fails.
    pub fn new(config: &RunConfig, device: Device) -> Result<Self, TrainError> {
        let data = crate::data::read(&config.data)?;
        let [channels, ..] = data.image_shape();
        let unet_config = config.unet(channels, data.n_classes());
        // Dropout is the one thing that draws from libtorch's generator.
        manual_seed(config.train.seed)?;
        let unet = UNet2d::new(
            unet_config,
            ParameterBuilder::fresh(config.train.seed, Placement::on(device)),
        )?;
        unet.parameters().require_gradients();
        let named: Vec<(String, Tensor)> = unet
            .parameters()
            .trainable()
            .map(|p| (p.name.clone(), p.tensor.shallow_clone()))
            .collect();
        let section = &config.optimizer;
        let optimizer = AdamW::new(
            named,
            AdamWConfig {
                beta1: section.betas[0],
                beta2: section.betas[1],
                epsilon: section.eps,
                weight_decay: section.weight_decay,
            },
        )?;
        Ok(Self {
            ema: Ema::new(optimizer.parameters(), config.ema.decay)?,
            order: DataOrder::new(config.train.seed, data.len()),
            objective: Objective::new(config, data.n_classes())?,
            config: config.clone(),
            device,
            data,
            unet,
            optimizer,
            step: 0,
            pending: Vec::new(),
        })
    }

    /// Does one step.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn step(&mut self) -> Result<(), TrainError> {
        let position = self.step * self.config.train.batch_size as u64;
        let indices = self.order.indices(position, self.config.train.batch_size);
        let batch = self.data.batch(&indices, self.device)?;
        let question = self.objective.ask(&batch, position)?;
        let x_t = memory_format::to_channels_last(&question.x_t)?;
        let output = self.unet.forward_training(&x_t, &question.time, question.labels.as_ref())?;
        let loss = output.f_mse_loss(&question.target, Reduction::Mean)?;

        self.optimizer.clear_gradients()?;
        loss.f_backward()?;
        let gradient_norm =
            clip_grad_norm(self.optimizer.parameters(), self.config.optimizer.max_gradient_norm)?
                .expect("the optimiser refuses a parameter without a gradient");
        let step = self.step + 1;
        let learning_rate = learning_rate(&self.config.optimizer, step, self.config.train.steps);
        self.optimizer.step(learning_rate)?;
        self.ema.update(self.optimizer.parameters(), step)?;
        self.step = step;
        self.pending.push(Pending { step, loss: loss.f_detach()?, gradient_norm, learning_rate });
        Ok(())
    }

    /// What the steps since the last call did; waits for the device.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn take_reports(&mut self) -> Result<Vec<StepReport>, TrainError> {
        self.pending
            .drain(..)
            .map(|p| {
                Ok(StepReport {
                    step: p.step,
                    loss: p.loss.f_double_value(&[])?,
                    gradient_norm: p.gradient_norm.f_double_value(&[])?,
                    learning_rate: p.learning_rate,
                })
            })
            .collect()
    }

    /// How many steps are done.
    pub fn steps_done(&self) -> u64 {
        self.step
    }

    /// The network, whose weights are those of the last step.
    pub fn unet(&self) -> &UNet2d {
        &self.unet
    }

    /// The data.
    pub fn data(&self) -> &ImageDataset {
        &self.data
    }

    /// A network of the averaged weights, sharing their storage.
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn averaged_unet(&self) -> Result<UNet2d, TrainError> {
        let mut tensors = self.unet.parameters().by_name();
        tensors.extend(self.averages().map(|(name, t)| (name.to_owned(), t.shallow_clone())));
        let builder = ParameterBuilder::stored(tensors, Placement::on(self.device));
        Ok(UNet2d::new(self.unet.config().clone(), builder)?)
    }

    /// The averaged weights by name.
    pub(crate) fn averages(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.optimizer.names().iter().map(String::as_str).zip(self.ema.averages())
    }

    /// The optimiser.
    pub(crate) fn optimizer(&self) -> &AdamW {
        &self.optimizer
    }

    /// Everything that the next step depends on, taken from a checkpoint.
    pub(crate) fn restore(
        &mut self,
        saved: &crate::checkpoint::Contents,
    ) -> Result<(), TrainError> {
        let _no_grad = tch::no_grad_guard();
        for parameter in self.unet.parameters() {
            copy_into(&parameter.tensor, &saved.weights, &parameter.name, "weights")?;
        }
        for (name, average) in self.averages() {
            copy_into(average, &saved.ema, name, "averaged weights")?;
        }
        self.optimizer.load_state(&saved.optimizer)?;
        saved.rng.restore()?;
        self.step = saved.step;
        self.pending.clear();
        Ok(())
    }

    /// The state of libtorch's generators.
    pub(crate) fn rng(&self) -> Result<RngState, TrainError> {
        Ok(RngState::capture()?)
    }
}

fn copy_into(
    tensor: &Tensor,
    saved: &std::collections::BTreeMap<String, Tensor>,
    name: &str,
    what: &str,
) -> Result<(), TrainError> {
    let fail = |reason: String| TrainError::Checkpoint { path: what.into(), reason };
    let source = saved.get(name).ok_or_else(|| fail(format!("{name} is missing")))?;
    if source.size() != tensor.size() {
        return Err(fail(format!(
            "{name} has shape {:?}, expected {:?}",
            source.size(),
            tensor.size()
        )));
    }
    tensor.shallow_clone().f_copy_(source)?;
    Ok(())
}
