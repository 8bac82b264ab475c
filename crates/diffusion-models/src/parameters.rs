//! A network's parameters by name, and the scope through which layers ask for them.
//!
//! A layer states name, shape and initial distribution once; whether the tensor is then drawn or taken from a file is
//! the scope's affair. So a network has one constructor, and a file that does not fit is reported whole.

use std::cell::RefCell;
use std::collections::BTreeMap;

use diffusion_math::KeyedNoise;
use diffusion_torch::memory_format::to_channels_last;
use tch::{Device, Kind, Tensor};

use crate::ModelError;

/// The initial distribution of a parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Init {
    /// Every element is this value.
    Constant(f64),
    /// `U(−bound, bound)`.
    Uniform {
        /// Half the width, > 0.
        bound: f64,
    },
    /// `N(0, std²)`.
    Normal {
        /// The standard deviation, > 0.
        std: f64,
    },
}

impl Init {
    /// `U(−1/√fan_in, 1/√fan_in)`: PyTorch's default for the weight and bias of linear and convolution layers
    /// (He et al. 2015, arXiv:1502.01852, with gain for a = √5).
    pub fn fan_in(fan_in: i64) -> Self {
        Self::Uniform { bound: 1.0 / (fan_in as f64).sqrt() }
    }
}

/// One named tensor of a network.
#[derive(Debug)]
pub struct Parameter {
    /// Its name, as diffusers has it.
    pub name: String,
    /// Its value; layers share the storage.
    pub tensor: Tensor,
    /// Whether training moves it (a fixed table of frequencies is stored, not trained).
    pub trainable: bool,
}

/// The parameters of a network, in the order in which its layers asked for them.
#[derive(Debug, Default)]
pub struct Parameters {
    entries: Vec<Parameter>,
}

impl Parameters {
    /// The parameters, in the layers' order.
    pub fn iter(&self) -> std::slice::Iter<'_, Parameter> {
        self.entries.iter()
    }

    /// Tensors that training moves, with their names.
    pub fn trainable(&self) -> impl Iterator<Item = &Parameter> {
        self.entries.iter().filter(|p| p.trainable)
    }

    /// How many numbers the parameters hold.
    pub fn count(&self) -> usize {
        self.entries.iter().map(|p| p.tensor.numel()).sum()
    }

    /// Where they live; the CPU where there is none.
    pub fn device(&self) -> Device {
        self.entries.first().map_or(Device::Cpu, |p| p.tensor.device())
    }

    /// Their bytes in memory.
    pub fn bytes(&self) -> usize {
        self.entries.iter().map(|p| p.tensor.numel() * p.tensor.kind().elt_size_in_bytes()).sum()
    }

    /// The tensors by name, sharing storage.
    pub fn by_name(&self) -> BTreeMap<String, Tensor> {
        self.entries.iter().map(|p| (p.name.clone(), p.tensor.shallow_clone())).collect()
    }

    /// Asks autograd to record gradients for the trainable ones.
    pub fn require_gradients(&self) {
        for parameter in self.trainable() {
            let _ = parameter.tensor.set_requires_grad(true);
        }
    }
}

impl<'a> IntoIterator for &'a Parameters {
    type Item = &'a Parameter;
    type IntoIter = std::slice::Iter<'a, Parameter>;
    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// Where parameters come from.
#[derive(Debug)]
enum Source {
    /// Drawn, keyed by (seed, name): the same on every device, whatever the order of the layers.
    Fresh { seed: u64 },
    /// Taken from a file or from another network.
    Stored(BTreeMap<String, Tensor>),
}

/// How four-dimensional weights lie in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemoryFormat {
    /// Outputs, inputs, rows, columns, as PyTorch's default.
    Contiguous,
    /// Outputs, rows, columns, inputs: convolutions run fastest so on a CPU, and on a GPU's tensor cores.
    ChannelsLast,
}

/// How the parameters of a network are placed.
#[derive(Debug, Clone, Copy)]
pub struct Placement {
    /// Where they live.
    pub device: Device,
    /// Their type.
    pub kind: Kind,
    /// How four-dimensional weights lie in memory.
    pub memory_format: MemoryFormat,
}

impl Placement {
    /// f32 in channels-last on `device`.
    pub fn on(device: Device) -> Self {
        Self { device, kind: Kind::Float, memory_format: MemoryFormat::ChannelsLast }
    }
}

/// Builds a network's parameters; see [`Scope`].
#[derive(Debug)]
pub struct ParameterBuilder {
    source: Source,
    placement: Placement,
    state: RefCell<State>,
}

#[derive(Debug, Default)]
struct State {
    entries: Vec<Parameter>,
    differences: Vec<String>,
}

impl ParameterBuilder {
    /// Draws fresh parameters, keyed by (seed, name).
    pub fn fresh(seed: u64, placement: Placement) -> Self {
        Self { source: Source::Fresh { seed }, placement, state: RefCell::default() }
    }

    /// Takes stored tensors; those already in place share their storage with the new network.
    pub fn stored(tensors: BTreeMap<String, Tensor>, placement: Placement) -> Self {
        Self { source: Source::Stored(tensors), placement, state: RefCell::default() }
    }

    /// The outermost scope, whose names have no prefix.
    pub fn root(&self) -> Scope<'_> {
        Scope { builder: self, prefix: String::new() }
    }

    /// The parameters that the layers asked for.
    ///
    /// # Errors
    /// [`ModelError::Mismatch`] with every stored tensor that is missing, of another shape, or that no layer asked for.
    pub fn finish(self) -> Result<Parameters, ModelError> {
        let State { entries, mut differences } = self.state.into_inner();
        if let Source::Stored(tensors) = &self.source {
            let asked: std::collections::BTreeSet<&str> =
                entries.iter().map(|p| p.name.as_str()).collect();
            let unexpected = tensors.iter().filter(|(name, _)| !asked.contains(name.as_str()));
            differences
                .extend(unexpected.map(|(name, t)| format!("unexpected {name} {:?}", t.size())));
        }
        match differences.is_empty() {
            true => Ok(Parameters { entries }),
            false => Err(ModelError::Mismatch { differences }),
        }
    }

    fn parameter(
        &self,
        name: String,
        shape: &[i64],
        init: Init,
        trainable: bool,
    ) -> Result<Tensor, ModelError> {
        let tensor = match &self.source {
            Source::Fresh { seed } => self.place(&draw(*seed, &name, shape, init)?)?,
            Source::Stored(tensors) => match tensors.get(&name) {
                Some(tensor) if tensor.size() == shape => self.place(tensor)?,
                found => {
                    self.state.borrow_mut().differences.push(match found {
                        Some(tensor) => {
                            format!("{name}: expected shape {shape:?}, found {:?}", tensor.size())
                        }
                        None => format!("missing {name} {shape:?}"),
                    });
                    // A placeholder: the constructor goes on, so that all differences are reported at once.
                    Tensor::f_empty([0], (self.placement.kind, Device::Cpu))?
                }
            },
        };
        let parameter = Parameter { name, tensor: tensor.shallow_clone(), trainable };
        self.state.borrow_mut().entries.push(parameter);
        Ok(tensor)
    }

    fn place(&self, tensor: &Tensor) -> Result<Tensor, ModelError> {
        let tensor = tensor.f_to_device(self.placement.device)?.f_to_kind(self.placement.kind)?;
        match self.placement.memory_format {
            MemoryFormat::ChannelsLast if tensor.dim() == 4 => Ok(to_channels_last(&tensor)?),
            _ => Ok(tensor),
        }
    }
}

/// Draws a parameter on the host. The key's stream is a hash of the name, so that no layer moves another's values.
fn draw(seed: u64, name: &str, shape: &[i64], init: Init) -> Result<Tensor, ModelError> {
    let n = shape.iter().product::<i64>() as usize;
    let noise = KeyedNoise::new(seed);
    let stream = fnv1a(name);
    let mut values = vec![0f32; n];
    match init {
        Init::Constant(value) => values.fill(value as f32),
        Init::Uniform { bound } => {
            for (i, value) in values.iter_mut().enumerate() {
                *value = (bound * (2.0 * noise.uniform(stream, i as u32) - 1.0)) as f32;
            }
        }
        Init::Normal { std } => {
            noise.fill_f32(stream, 0, &mut values);
            values.iter_mut().for_each(|z| *z = (std * f64::from(*z)) as f32);
        }
    }
    Ok(Tensor::f_from_slice(&values)?.f_view(shape)?)
}

/// 64-bit FNV-1a (Fowler, Noll, Vo): names the stream of a parameter.
fn fnv1a(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A place in the tree of names, from which a layer asks for its parameters.
#[derive(Debug, Clone)]
pub struct Scope<'a> {
    builder: &'a ParameterBuilder,
    prefix: String,
}

impl Scope<'_> {
    /// The scope one name further down: `scope.at("conv1")`, `scope.at(0)`.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self { builder: self.builder, prefix: self.full_name(name) }
    }

    /// A trainable parameter.
    ///
    /// # Errors
    /// Where libtorch cannot allocate it; a tensor missing from a file is reported by [`ParameterBuilder::finish`].
    pub fn parameter(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, ModelError> {
        self.builder.parameter(self.full_name(name), shape, init, true)
    }

    /// A stored tensor that training leaves alone.
    ///
    /// # Errors
    /// As [`parameter`](Self::parameter).
    pub fn fixed(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, ModelError> {
        self.builder.parameter(self.full_name(name), shape, init, false)
    }

    /// The full name of this place, for messages.
    pub fn path(&self) -> &str {
        if self.prefix.is_empty() { "the network" } else { &self.prefix }
    }

    fn full_name(&self, name: impl std::fmt::Display) -> String {
        match self.prefix.as_str() {
            "" => name.to_string(),
            prefix => format!("{prefix}.{name}"),
        }
    }
}
