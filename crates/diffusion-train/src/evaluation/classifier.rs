//! A small classifier, trained on the spot: it says whether a sample is taken for the class that was asked.

use std::path::Path;

use diffusion_math::KeyedNoise;
use diffusion_models::layers::{Activation, Conv2d, Linear};
use diffusion_models::{
    ModelError, ParameterBuilder, Parameters, Placement, read_tensors, write_tensors,
};
use diffusion_torch::{AdamW, AdamWConfig};
use tch::{Device, Kind, Reduction, Tensor};

use crate::TrainError;
use crate::data::{DataOrder, ImageDataset};
use crate::run_dir::write_directory_atomically;

/// Images of the end of a data set that the classifier never sees while it is trained: one in this many.
const TEST_SHARE: usize = 10;
const EPOCHS: usize = 6;
const BATCH: usize = 64;
const SEED: u64 = 0;
const WEIGHTS: &str = "weights.safetensors";

/// Two convolutions, a halving, two more, a halving, and a perceptron; trained by cross-entropy on shifted images.
#[derive(Debug)]
pub struct Classifier {
    parameters: Parameters,
    convolutions: [Conv2d; 4],
    hidden: Linear,
    output: Linear,
}

/// How often a classifier is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassifierReport {
    /// Images that it took for what they are.
    pub correct: usize,
    /// Images shown.
    pub shown: usize,
}

impl ClassifierReport {
    /// The share that was right, in [0, 1]; NaN where nothing was shown.
    pub fn accuracy(self) -> f64 {
        self.correct as f64 / self.shown as f64
    }
}

impl Classifier {
    /// Takes the classifier of `data` from `cache`; where there is none, trains one on all images but the last tenth and
    /// writes it there. `on_step` is told how many of how many training steps are done.
    ///
    /// # Errors
    /// Where the data are too small or too few, the device fails, or the cache cannot be written.
    pub fn cached(
        cache: &Path,
        data: &ImageDataset,
        device: Device,
        on_step: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, TrainError> {
        // The fingerprint of the data names the folder: a classifier of other data is not taken for this one.
        let directory = cache.join(format!("classifier-{:016x}", data.fingerprint()?));
        let file = directory.join(WEIGHTS);
        if file.exists() {
            let builder = ParameterBuilder::stored(read_tensors(&file)?, Placement::on(device));
            return Self::new(data, builder);
        }
        let classifier = Self::trained(data, device, on_step)?;
        std::fs::create_dir_all(cache).map_err(TrainError::io("create", cache))?;
        write_directory_atomically(&directory, |directory| {
            let tensors = classifier.parameters.iter().map(|p| (p.name.as_str(), &p.tensor));
            Ok(write_tensors(&directory.join(WEIGHTS), tensors)?)
        })?;
        Ok(classifier)
    }

    /// Trains a classifier on all images but the last tenth.
    ///
    /// # Errors
    /// Where the data are too small or too few, or the device fails.
    pub fn trained(
        data: &ImageDataset,
        device: Device,
        on_step: &mut dyn FnMut(u64, u64),
    ) -> Result<Self, TrainError> {
        let classifier = Self::new(data, ParameterBuilder::fresh(SEED, Placement::on(device)))?;
        classifier.parameters.require_gradients();
        let named = |p: &diffusion_models::Parameter| (p.name.clone(), p.tensor.shallow_clone());
        let mut optimizer = AdamW::new(
            classifier.parameters.trainable().map(named).collect(),
            AdamWConfig::default(),
        )?;
        let mut order = DataOrder::new(SEED, training_count(data));
        let steps = (EPOCHS * training_count(data)).div_ceil(BATCH) as u64;
        let noise = KeyedNoise::new(SEED);
        for step in 0..steps {
            let position = step * BATCH as u64;
            let batch = data.batch(&order.indices(position, BATCH), device)?;
            // Each image is moved by up to a sixteenth of its size, so that 9,000 of them are enough.
            let reach = data.image_shape()[1] >> 4;
            let shift = |draw| noise.below(step, draw, 2 * reach as u64 + 1) as i64 - reach;
            let moved = batch.x0.f_roll([shift(0), shift(1)], [2, 3])?;
            let loss = classifier.logits(&moved)?.f_cross_entropy_loss(
                &batch.labels,
                None::<&Tensor>,
                Reduction::Mean,
                -100,
                0.0,
            )?;
            optimizer.clear_gradients()?;
            loss.f_backward()?;
            let progress = step as f64 / steps as f64;
            optimizer.step(2e-3 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()))?;
            on_step(step + 1, steps);
        }
        Ok(classifier)
    }

    /// How often it is right on the last tenth of the data, which it was not trained on.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn test(&self, data: &ImageDataset) -> Result<ClassifierReport, TrainError> {
        let indices: Vec<usize> = (training_count(data)..data.len()).collect();
        let batch = data.batch(&indices, self.parameters.device())?;
        self.judge(&batch.x0, &batch.labels)
    }

    /// How many of the images `[N, C, H, W]`, in [−1, 1], it takes for their `labels`.
    ///
    /// # Errors
    /// Where the device fails.
    pub fn judge(&self, images: &Tensor, labels: &Tensor) -> Result<ClassifierReport, TrainError> {
        let _no_grad = tch::no_grad_guard();
        let device = self.parameters.device();
        let mut correct = 0;
        for (images, labels) in images.f_split(256, 0)?.iter().zip(labels.f_split(256, 0)?) {
            let taken_for = self.logits(&images.f_to_device(device)?)?.f_argmax(1, false)?;
            let right = taken_for.f_eq_tensor(&labels.f_to_device(device)?)?.f_sum(Kind::Int64)?;
            correct += right.f_int64_value(&[])? as usize;
        }
        Ok(ClassifierReport { correct, shown: labels.size()[0] as usize })
    }

    fn new(data: &ImageDataset, builder: ParameterBuilder) -> Result<Self, TrainError> {
        let [channels, height, width] = data.image_shape();
        if height < 4 || width < 4 || data.len() < TEST_SHARE {
            return Err(TrainError::Evaluation {
                reason: format!(
                    "a classifier needs at least {TEST_SHARE} images of 4×4, there are {} of {height}×{width}",
                    data.len()
                ),
            });
        }
        let scope = builder.root();
        let convolution = |i: usize, inputs, outputs| {
            Conv2d::same(&scope.at("convolutions").at(i), inputs, outputs, 3)
        };
        let convolutions = [
            convolution(0, channels, 32)?,
            convolution(1, 32, 32)?,
            convolution(2, 32, 64)?,
            convolution(3, 64, 64)?,
        ];
        let features = 64 * (height >> 2) * (width >> 2);
        let hidden = Linear::new(&scope.at("hidden"), features, 128)?;
        let output = Linear::new(&scope.at("output"), 128, data.n_classes())?;
        drop(scope);
        Ok(Self { parameters: builder.finish()?, convolutions, hidden, output })
    }

    fn logits(&self, images: &Tensor) -> Result<Tensor, ModelError> {
        let active = |x: Tensor| Activation::Relu.forward(&x);
        let mut x = images.shallow_clone();
        for pair in self.convolutions.chunks_exact(2) {
            for convolution in pair {
                x = active(convolution.forward(&x)?)?;
            }
            x = x.f_max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false)?;
        }
        let x = active(self.hidden.forward(&x.f_flatten(1, -1)?)?)?;
        Ok(self.output.forward(&x)?)
    }
}

fn training_count(data: &ImageDataset) -> usize {
    data.len() - data.len().div_ceil(TEST_SHARE)
}
