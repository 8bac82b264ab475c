//! What a network predicts, and how that becomes x̂₀ and ε̂.
//!
//! One hub: every prediction is a linear combination of the pair (x₀, ε), and every conversion goes through that pair.
//! All of it is stated as coefficients, so that a tensor with one level per sample uses the same formulas as an `f64`.

use serde::{Deserialize, Serialize};

use crate::{MathError, NoiseLevel, State};

/// What a network predicts of `x_t = α·x₀ + σ·ε`. The names in files are diffusers' `prediction_type`.
///
/// | | target | x̂₀ | ε̂ |
/// |---|---|---|---|
/// | `Epsilon` | `ε` | `(x_t − σ·out)/α` | `out` |
/// | `X0` | `x₀` | `out` | `(x_t − α·out)/σ` |
/// | `V` | `α·ε − σ·x₀` | `(α·x_t − σ·out)/(α² + σ²)` | `(σ·x_t + α·out)/(α² + σ²)` |
///
/// `V` is Salimans & Ho 2022 (arXiv:2202.00512, Appendix D), bounded at both ends; `Epsilon` is Ho et al. 2020
/// (arXiv:2006.11239, Eq. 12), undefined at α = 0; `X0` gives no ε̂ at σ = 0.
///
/// ```
/// use diffusion_math::{NoiseLevel, Parameterization};
/// let level = NoiseLevel::from_scales(0.8, 0.6);
/// let (x0, eps) = (2.0, -1.0);
/// let x_t = 0.8 * x0 + 0.6 * eps;
/// let v = Parameterization::V.target(&x0, &eps, level);
/// assert!((v - (0.8 * eps - 0.6 * x0)).abs() < 1e-15);
/// assert!((Parameterization::V.x0_hat(&x_t, &v, level)? - x0).abs() < 1e-15);
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Parameterization {
    /// The noise ε.
    #[serde(rename = "epsilon", alias = "eps")]
    Epsilon,
    /// The clean sample x₀.
    #[serde(rename = "sample", alias = "x0")]
    X0,
    /// The velocity `v = α·ε − σ·x₀`.
    #[serde(rename = "v_prediction", alias = "v", alias = "v-prediction")]
    V,
}

impl std::fmt::Display for Parameterization {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Parameterization {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Epsilon, Self::X0, Self::V];

    /// diffusers' name: `epsilon`, `sample` or `v_prediction`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epsilon => "epsilon",
            Self::X0 => "sample",
            Self::V => "v_prediction",
        }
    }

    /// `(a, b)` of `x̂₀ = a·x_t + b·output`.
    ///
    /// # Errors
    /// [`MathError::NoSignal`] for `Epsilon` at α = 0.
    pub fn x0_coefficients(self, level: NoiseLevel) -> Result<(f64, f64), MathError> {
        let (alpha, sigma) = level.scales();
        match self {
            Self::Epsilon if alpha == 0.0 => {
                Err(MathError::NoSignal { parameterization: self, time: level.time() })
            }
            Self::Epsilon => Ok((1.0 / alpha, -level.noise_to_signal())),
            Self::X0 => Ok((0.0, 1.0)),
            Self::V => {
                let power = alpha * alpha + sigma * sigma;
                Ok((alpha / power, -sigma / power))
            }
        }
    }

    /// `(a, b)` of `ε̂ = a·x_t + b·output`.
    ///
    /// # Errors
    /// [`MathError::NoNoise`] for `X0` at σ = 0.
    pub fn eps_coefficients(self, level: NoiseLevel) -> Result<(f64, f64), MathError> {
        let (alpha, sigma) = level.scales();
        match self {
            Self::Epsilon => Ok((0.0, 1.0)),
            Self::X0 if sigma == 0.0 => {
                Err(MathError::NoNoise { parameterization: self, time: level.time() })
            }
            Self::X0 => Ok((1.0 / sigma, -alpha / sigma)),
            Self::V => {
                let power = alpha * alpha + sigma * sigma;
                Ok((sigma / power, alpha / power))
            }
        }
    }

    /// `(a, b)` of the training target `a·x₀ + b·ε`.
    pub fn target_coefficients(self, level: NoiseLevel) -> (f64, f64) {
        match self {
            Self::Epsilon => (0.0, 1.0),
            Self::X0 => (1.0, 0.0),
            Self::V => (-level.sigma(), level.alpha()),
        }
    }

    /// `(a, b)` of `output = a·x_t + b·x̂₀`: what a network of this kind would have answered.
    ///
    /// # Errors
    /// [`MathError::NoNoise`] for `Epsilon` and `V` at σ = 0, where x_t and x₀ do not give the noise.
    pub fn output_coefficients(self, level: NoiseLevel) -> Result<(f64, f64), MathError> {
        let (alpha, sigma) = level.scales();
        match self {
            Self::X0 => Ok((0.0, 1.0)),
            _ if sigma == 0.0 => {
                Err(MathError::NoNoise { parameterization: self, time: level.time() })
            }
            Self::Epsilon => Ok((1.0 / sigma, -alpha / sigma)),
            Self::V => Ok((alpha / sigma, -(alpha * alpha + sigma * sigma) / sigma)),
        }
    }

    /// x̂₀ of a network's output at `x_t`.
    ///
    /// # Errors
    /// [`MathError::NoSignal`] for `Epsilon` at α = 0.
    pub fn x0_hat<S: State>(self, x_t: &S, output: &S, level: NoiseLevel) -> Result<S, MathError> {
        self.x0_coefficients(level).map(|ab| combine(ab, x_t, output))
    }

    /// ε̂ of a network's output at `x_t`.
    ///
    /// # Errors
    /// [`MathError::NoNoise`] for `X0` at σ = 0.
    pub fn eps_hat<S: State>(self, x_t: &S, output: &S, level: NoiseLevel) -> Result<S, MathError> {
        self.eps_coefficients(level).map(|ab| combine(ab, x_t, output))
    }

    /// What a network is trained to answer at `x_t = α·x₀ + σ·ε`.
    pub fn target<S: State>(self, x0: &S, eps: &S, level: NoiseLevel) -> S {
        combine(self.target_coefficients(level), x0, eps)
    }

    /// What a network of this kind would have answered at `x_t`, if its clean sample were `x0_hat`.
    ///
    /// # Errors
    /// [`MathError::NoNoise`] for `Epsilon` and `V` at σ = 0.
    pub fn output<S: State>(self, x_t: &S, x0_hat: &S, level: NoiseLevel) -> Result<S, MathError> {
        self.output_coefficients(level).map(|ab| combine(ab, x_t, x0_hat))
    }
}

/// `a·x + b·y`; a zero coefficient leaves its term out, so that `1·y` is `y` bit for bit.
fn combine<S: State>((a, b): (f64, f64), x: &S, y: &S) -> S {
    if a == 0.0 {
        S::linear_combination(&[(b, y)])
    } else if b == 0.0 {
        S::linear_combination(&[(a, x)])
    } else {
        S::linear_combination(&[(a, x), (b, y)])
    }
}
