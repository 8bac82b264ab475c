//! AdamW in one fused pass over memory, with state that can be saved: tch's own optimiser hides its moments.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use tch::{Device, Kind, Tensor};

use crate::{TorchError, clear_gradients, ffi, host};

/// The constants of AdamW; PyTorch's defaults.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdamWConfig {
    /// `β₁ ∈ [0, 1)`, the decay of the gradient's mean.
    pub beta1: f64,
    /// `β₂ ∈ [0, 1)`, the decay of the gradient's mean square.
    pub beta2: f64,
    /// `ϵ ≥ 0`, added to the root of the mean square.
    pub epsilon: f64,
    /// `λ ≥ 0`, the decoupled weight decay of [`AdamW::new`]; a [`ParameterGroup`] has its own.
    pub weight_decay: f64,
}

impl Default for AdamWConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 }
    }
}

/// Parameters that share a weight decay; biases and norms often take 0.
#[derive(Debug)]
pub struct ParameterGroup {
    /// Names, unique over all groups, and leaf tensors that require gradients.
    pub parameters: Vec<(String, Tensor)>,
    /// `λ ≥ 0`.
    pub weight_decay: f64,
}

/// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101, Algorithm 2), as `torch.optim.AdamW(fused=True)` computes it.
///
/// For every parameter `θ` with gradient `g`, at step `t = 1, 2, …` with learning rate `γ`:
/// `θ ← θ − γλθ`, `m ← β₁m + (1 − β₁)g`, `v ← β₂v + (1 − β₂)g²`, `θ ← θ − γ/(1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ϵ)`.
///
/// All parameters take every step: one without a gradient is an error, because it is either frozen (leave it out) or cut
/// off from the loss (a mistake).
#[derive(Debug)]
pub struct AdamW {
    config: AdamWConfig,
    names: Vec<String>,
    parameters: Vec<Tensor>,
    exp_avgs: Vec<Tensor>,
    exp_avg_sqs: Vec<Tensor>,
    groups: Vec<(Range<usize>, f64)>,
    steps: u64,
    /// `steps` where the kernel reads it: one f32 on the device, shared by all parameters.
    step: Tensor,
}

const OPERATION: &str = "fused AdamW";
/// The name of the step count among the tensors of [`AdamW::state`].
const STEP: &str = "step";

impl AdamW {
    /// An optimiser of named parameters, all with the weight decay of `config`.
    ///
    /// # Errors
    /// As [`with_groups`](Self::with_groups).
    pub fn new(parameters: Vec<(String, Tensor)>, config: AdamWConfig) -> Result<Self, TorchError> {
        Self::with_groups(
            vec![ParameterGroup { parameters, weight_decay: config.weight_decay }],
            config,
        )
    }

    /// An optimiser of groups of parameters; `config.weight_decay` is not used.
    ///
    /// # Errors
    /// Where a constant is outside of its domain, a name occurs twice, there is no parameter, the parameters lie on several
    /// devices or on one other than CPU and CUDA, or an element type is not floating point.
    pub fn with_groups(
        groups: Vec<ParameterGroup>,
        config: AdamWConfig,
    ) -> Result<Self, TorchError> {
        in_domain("beta1", config.beta1, (0.0..1.0).contains(&config.beta1), "from 0 to below 1")?;
        in_domain("beta2", config.beta2, (0.0..1.0).contains(&config.beta2), "from 0 to below 1")?;
        non_negative("epsilon", config.epsilon)?;

        let (mut names, mut parameters, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
        for group in groups {
            non_negative("weight_decay", group.weight_decay)?;
            let start = parameters.len();
            for (name, parameter) in group.parameters {
                names.push(name);
                parameters.push(parameter);
            }
            if start < parameters.len() {
                ranges.push((start..parameters.len(), group.weight_decay));
            }
        }
        let device = parameters
            .first()
            .map(Tensor::device)
            .ok_or(TorchError::EmptyList { operation: OPERATION })?;
        check_parameters(&names, &parameters, device)?;

        let zeros =
            || parameters.iter().map(|parameter| Ok(tch::no_grad(|| parameter.f_zeros_like())?));
        Ok(Self {
            config,
            exp_avgs: zeros().collect::<Result<_, TorchError>>()?,
            exp_avg_sqs: zeros().collect::<Result<_, TorchError>>()?,
            step: Tensor::f_zeros([], (Kind::Float, device))?,
            steps: 0,
            groups: ranges,
            names,
            parameters,
        })
    }

    /// Updates every parameter from its gradient, which stays as it is.
    ///
    /// # Errors
    /// Where a parameter has no gradient, or its gradient or moments have another shape, order in memory, type or device
    /// than it has; nothing is updated then. `learning_rate ≥ 0`.
    pub fn step(&mut self, learning_rate: f64) -> Result<(), TorchError> {
        non_negative("learning_rate", learning_rate)?;
        self.check_layouts()?;
        // f32 counts exactly to 2²⁴ steps; PyTorch's fused kernels read it as f32, too.
        let step = self.steps + 1;
        let _ = self.step.f_fill_(step as f64)?;

        let parameters = ffi::handles(&self.parameters);
        let exp_avgs = ffi::handles(&self.exp_avgs);
        let exp_avg_sqs = ffi::handles(&self.exp_avg_sqs);
        for (range, weight_decay) in &self.groups {
            // SAFETY: the three arrays hold `range.len()` handles, which live during the call; `check_layouts` has compared
            // what the kernel does not, with the same gradients: nothing ran in between.
            let message = unsafe {
                ffi::dt_fused_adamw(
                    parameters[range.clone()].as_ptr(),
                    exp_avgs[range.clone()].as_ptr(),
                    exp_avg_sqs[range.clone()].as_ptr(),
                    range.len(),
                    self.step.as_ptr(),
                    learning_rate,
                    self.config.beta1,
                    self.config.beta2,
                    *weight_decay,
                    self.config.epsilon,
                )
            };
            ffi::check(OPERATION, message)?;
        }
        self.steps = step;
        Ok(())
    }

    /// Drops all gradients: the next backward pass writes instead of adding.
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn clear_gradients(&self) -> Result<(), TorchError> {
        clear_gradients(&self.parameters)
    }

    /// The parameters, in the order given.
    pub fn parameters(&self) -> &[Tensor] {
        &self.parameters
    }

    /// The parameters' names, in the same order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// How many steps were taken.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The constants.
    pub fn config(&self) -> &AdamWConfig {
        &self.config
    }

    /// The state by name: `step`, and `exp_avg.NAME` and `exp_avg_sq.NAME` of every parameter.
    ///
    /// The moments are the optimiser's own tensors, not copies: write them out before the next step changes them.
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn state(&self) -> Result<BTreeMap<String, Tensor>, TorchError> {
        let steps = i64::try_from(self.steps).expect("fewer than 2⁶³ steps");
        let mut state = BTreeMap::from([(STEP.to_owned(), host::from_slice(&[steps], &[])?)]);
        for (i, name) in self.names.iter().enumerate() {
            state.insert(format!("exp_avg.{name}"), self.exp_avgs[i].shallow_clone());
            state.insert(format!("exp_avg_sq.{name}"), self.exp_avg_sqs[i].shallow_clone());
        }
        Ok(state)
    }

    /// Takes over a state that [`state`](Self::state) gave; training goes on with the same bits.
    ///
    /// # Errors
    /// Where a tensor is missing, left over, or of another shape or type than the parameter; nothing is taken over then.
    pub fn load_state(&mut self, state: &BTreeMap<String, Tensor>) -> Result<(), TorchError> {
        let steps = self.check_state(state)?;
        for (i, name) in self.names.iter().enumerate() {
            tch::no_grad(|| {
                self.exp_avgs[i].f_copy_(&state[&format!("exp_avg.{name}")])?;
                self.exp_avg_sqs[i].f_copy_(&state[&format!("exp_avg_sq.{name}")])
            })?;
        }
        self.steps = steps;
        Ok(())
    }

    fn check_layouts(&self) -> Result<(), TorchError> {
        let (mut culprit, mut missing) = (0, false);
        let parameters = ffi::handles(&self.parameters);
        let (exp_avgs, exp_avg_sqs) =
            (ffi::handles(&self.exp_avgs), ffi::handles(&self.exp_avg_sqs));
        // SAFETY: the three arrays hold `parameters.len()` handles, which live during the call; a number and a bool are written.
        let message = unsafe {
            ffi::dt_adamw_check(
                parameters.as_ptr(),
                exp_avgs.as_ptr(),
                exp_avg_sqs.as_ptr(),
                parameters.len(),
                &mut culprit,
                &mut missing,
            )
        };
        let Some(detail) = ffi::failure(message) else {
            return Ok(());
        };
        let parameter = self.names[culprit].clone();
        Err(if missing {
            TorchError::MissingGradient { parameter }
        } else {
            TorchError::Layout { parameter, detail }
        })
    }

    /// The step count of a state that fits.
    fn check_state(&self, state: &BTreeMap<String, Tensor>) -> Result<u64, TorchError> {
        let unfit = |detail| TorchError::State { detail };
        let find = |name: &str| state.get(name).ok_or_else(|| unfit(format!("{name} is missing")));
        let steps =
            host::to_vec::<i64>(find(STEP)?).map_err(|error| unfit(format!("{STEP}: {error}")))?;
        let steps = match steps[..] {
            [steps] => u64::try_from(steps).map_err(|_| unfit(format!("{STEP} is {steps}")))?,
            _ => return Err(unfit(format!("{STEP} has {} elements", steps.len()))),
        };
        for (name, parameter) in self.names.iter().zip(&self.parameters) {
            for moment in [format!("exp_avg.{name}"), format!("exp_avg_sq.{name}")] {
                let tensor = find(&moment)?;
                if tensor.size() != parameter.size() || tensor.f_kind()? != parameter.f_kind()? {
                    let (got, want) = (tensor.size(), parameter.size());
                    let (got_kind, want_kind) = (tensor.f_kind()?, parameter.f_kind()?);
                    return Err(unfit(format!(
                        "{moment} is {got:?} {got_kind:?}, its parameter is {want:?} {want_kind:?}"
                    )));
                }
            }
        }
        if state.len() != 1 + 2 * self.names.len() {
            let known: HashSet<&str> = self.names.iter().map(String::as_str).collect();
            let ours = |key: &str| {
                let name = key.strip_prefix("exp_avg.").or_else(|| key.strip_prefix("exp_avg_sq."));
                key == STEP || name.is_some_and(|name| known.contains(name))
            };
            let extra = state.keys().find(|key| !ours(key)).cloned().unwrap_or_default();
            return Err(unfit(format!("{extra} belongs to no parameter")));
        }
        Ok(steps)
    }
}

/// The kernels of `_fused_adamw_` that we know and test; nothing else is tried.
fn has_kernel(device: Device) -> bool {
    matches!(device, Device::Cpu | Device::Cuda(_))
}

fn check_parameters(
    names: &[String],
    parameters: &[Tensor],
    device: Device,
) -> Result<(), TorchError> {
    let mut seen = HashSet::new();
    for (name, parameter) in names.iter().zip(parameters) {
        if !seen.insert(name) {
            return Err(TorchError::DuplicateName { name: name.clone() });
        }
        if !has_kernel(parameter.device()) {
            return Err(TorchError::UnsupportedDevice {
                operation: OPERATION,
                device: parameter.device(),
            });
        }
        if parameter.device() != device {
            let detail =
                format!("it is on {:?}, the first parameter is on {device:?}", parameter.device());
            return Err(TorchError::Layout { parameter: name.clone(), detail });
        }
        let kind = parameter.f_kind()?;
        if !matches!(kind, Kind::Float | Kind::Double | Kind::BFloat16 | Kind::Half) {
            let what = format!("parameter {name}");
            return Err(TorchError::UnsupportedKind { operation: OPERATION, what, kind });
        }
    }
    Ok(())
}

fn non_negative(name: &'static str, value: f64) -> Result<(), TorchError> {
    in_domain(name, value, value >= 0.0 && value.is_finite(), "finite and at least 0")
}

fn in_domain(
    name: &'static str,
    value: f64,
    inside: bool,
    allowed: &'static str,
) -> Result<(), TorchError> {
    if inside { Ok(()) } else { Err(TorchError::InvalidValue { name, value, allowed }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{memory_format, set_gradient, testing};

    #[test]
    fn a_device_without_a_kernel_is_refused() {
        assert!(has_kernel(Device::Cpu) && has_kernel(Device::Cuda(3)));
        assert!(!has_kernel(Device::Mps) && !has_kernel(Device::Vulkan));
    }

    /// Why `check_layouts` exists: libtorch's CPU kernel walks mismatched tensors as flat arrays, and says nothing.
    #[test]
    fn without_the_check_the_wrong_elements_are_updated() {
        if testing::device() != Device::Cpu {
            return; // the CUDA kernel was not tried
        }
        let shape = [1, 2, 2, 2];
        let parameter = Tensor::zeros(shape, (Kind::Float, Device::Cpu));
        let parameter = memory_format::to_channels_last(&parameter)
            .expect("four dimensions")
            .set_requires_grad(true);
        let gradient = host::from_slice(&[1f32, 1.0, 1.0, 1.0, -1.0, -1.0, -1.0, -1.0], &shape)
            .expect("eight elements");
        set_gradient(&parameter, Some(&gradient)).expect("a gradient of the same shape");
        let mut adamw =
            AdamW::new(vec![("w".into(), parameter.shallow_clone())], AdamWConfig::default())
                .expect("one parameter");

        let error =
            adamw.step(0.5).expect_err("the gradient is contiguous, the parameter channels-last");
        assert!(
            matches!(&error, TorchError::Layout { parameter, .. } if parameter == "w"),
            "{error}"
        );
        assert!(error.to_string().contains("strides [8, 1, 4, 2]"), "{error}");
        assert_eq!(
            (adamw.steps(), parameter.abs().max().double_value(&[])),
            (0, 0.0),
            "nothing was updated"
        );

        let _ = adamw.step.fill_(1.0);
        let (parameters, exp_avgs) =
            (ffi::handles(&adamw.parameters), ffi::handles(&adamw.exp_avgs));
        let exp_avg_sqs = ffi::handles(&adamw.exp_avg_sqs);
        // SAFETY: one handle each; the four tensors have eight f32 elements, so the kernel stays within their memory.
        let message = unsafe {
            let step = adamw.step.as_ptr();
            let (x, m, v) = (parameters.as_ptr(), exp_avgs.as_ptr(), exp_avg_sqs.as_ptr());
            ffi::dt_fused_adamw(x, m, v, 1, step, 0.5, 0.9, 0.999, 0.0, 1e-8)
        };
        assert_eq!(ffi::failure(message), None, "libtorch takes it");
        // The first step moves every element by −0.5·sign(g).
        let moved: Vec<f32> = host::to_vec(&parameter).expect("f32");
        let signs: Vec<f32> = moved.iter().map(|x| x.signum()).collect();
        assert_eq!(
            signs,
            [-1.0, -1.0, 1.0, 1.0, -1.0, -1.0, 1.0, 1.0],
            "the signs asked for are - - - - + + + +"
        );
    }
}
