//! How a network is told the time: features of a number, then a small perceptron.

use tch::{Kind, TchError, Tensor};

use super::{Activation, Linear};
use crate::{Init, ModelError, Scope};

/// Sinusoids of the time (Vaswani et al. 2017, arXiv:1706.03762, §3.5; Ho et al. 2020, arXiv:2006.11239, App. B).
///
/// `[sin(t·ω), cos(t·ω)]`, `ωᵢ = 10000^(−i/(half − frequency_shift))`, `i = 0 … half − 1`; computed in f32.
/// Two conventions are in use: Ho et al. have shift 1 and sines first, later code shift 0 and cosines first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SinusoidalTime {
    /// Features; an odd count ends with a zero.
    pub features: i64,
    /// Cosines before sines (diffusers' `flip_sin_to_cos`).
    pub cosines_first: bool,
    /// Subtracted from `half` in the exponent (diffusers' `freq_shift`).
    pub frequency_shift: f64,
}

impl SinusoidalTime {
    /// # Shapes
    /// `[B] → [B, features]`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, time: &Tensor) -> Result<Tensor, TchError> {
        let half = self.features >> 1;
        let rate = -10_000f64.ln() / (half as f64 - self.frequency_shift);
        let frequencies =
            Tensor::f_arange(half, (Kind::Float, time.device()))?.f_mul_scalar(rate)?.f_exp()?;
        let angles = time.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_mul(&frequencies)?;
        let (sines, cosines) = (angles.f_sin()?, angles.f_cos()?);
        let pair = if self.cosines_first { [cosines, sines] } else { [sines, cosines] };
        let features = Tensor::f_cat(&pair, 1)?;
        if self.features % 2 == 0 { Ok(features) } else { features.f_constant_pad_nd([0, 1]) }
    }
}

/// Random Fourier features of `ln t` (Song et al. 2021, arXiv:2011.13456, App. C.2): `[sin(2πw·ln t), cos(2πw·ln t)]`.
///
/// - `weight`: `[frequencies]`, `N(0, 16²)`, fixed.
#[derive(Debug)]
pub struct FourierTime {
    weight: Tensor,
}

impl FourierTime {
    /// `frequencies` random frequencies, so twice as many features.
    ///
    /// # Errors
    /// Where the table cannot be allocated.
    pub fn new(scope: &Scope<'_>, frequencies: i64) -> Result<Self, ModelError> {
        Ok(Self { weight: scope.fixed("weight", &[frequencies], Init::Normal { std: 16.0 })? })
    }

    /// # Shapes
    /// `[B] → [B, 2·frequencies]`, `t > 0`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, time: &Tensor) -> Result<Tensor, TchError> {
        let log_time = time.f_to_kind(Kind::Float)?.f_log()?.f_unsqueeze(1)?;
        let angles = log_time.f_mul(&self.weight)?.f_mul_scalar(std::f64::consts::TAU)?;
        Tensor::f_cat(&[angles.f_sin()?, angles.f_cos()?], 1)
    }
}

/// The perceptron behind the features: `linear_2(activation(linear_1(x)))`.
#[derive(Debug)]
pub struct TimeMlp {
    linear_1: Linear,
    linear_2: Linear,
}

impl TimeMlp {
    /// From `features` inputs to `width` outputs.
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn new(scope: &Scope<'_>, features: i64, width: i64) -> Result<Self, ModelError> {
        let linear_1 = Linear::new(&scope.at("linear_1"), features, width)?;
        let linear_2 = Linear::new(&scope.at("linear_2"), width, width)?;
        Ok(Self { linear_1, linear_2 })
    }

    /// # Shapes
    /// `[B, features] → [B, width]`
    ///
    /// # Errors
    /// Where libtorch fails.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor, TchError> {
        self.linear_2.forward(&Activation::Silu.forward(&self.linear_1.forward(features)?)?)
    }
}
