//! `N(μ, Σ)` with any covariance, held by its Cholesky factor.

use ndarray::{Array1, Array2, ArrayView1, ArrayViewMut1, s};

use super::{LN_2PI, check_mean, same_dimension};
use crate::MathError;
use crate::stable::exp_m1_minus_x;

/// `N(μ, Σ)` in d dimensions, factored once at construction: `Σ = L·Lᵀ`.
///
/// ```
/// use diffusion_math::FullGaussian;
/// use ndarray::array;
/// let p = FullGaussian::new(&[0.0, 0.0], &array![[2.0, 0.5], [0.5, 1.0]])?;
/// let q = FullGaussian::new(&[1.0, -1.0], &array![[1.0, -0.3], [-0.3, 1.5]])?;
/// assert!((p.kl(&q) - 1.0905685185110150552).abs() < 1e-14);
/// # Ok::<(), diffusion_math::MathError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct FullGaussian {
    mean: Array1<f64>,
    /// L, lower triangular with a positive diagonal.
    factor: Array2<f64>,
}

impl FullGaussian {
    /// The Gaussian of this mean and this covariance, symmetric and positive definite.
    ///
    /// # Errors
    /// No coordinate, shapes that differ, a number that is not finite, or a covariance that is not symmetric (to 1e-12 of
    /// its largest entry) or not positive definite.
    pub fn new(mean: &[f64], covariance: &Array2<f64>) -> Result<Self, MathError> {
        check_mean(mean)?;
        let d = mean.len();
        for (what, got) in [
            ("rows of a covariance", covariance.nrows()),
            ("columns of a covariance", covariance.ncols()),
        ] {
            if got != d {
                return Err(MathError::LengthMismatch { what, expected: d, got });
            }
        }
        let largest = covariance.iter().fold(0.0_f64, |largest, x| largest.max(x.abs()));
        for ((i, j), &value) in covariance.indexed_iter() {
            if !value.is_finite() {
                return Err(MathError::OutOfRange {
                    what: "covariance",
                    value,
                    allowed: "finite numbers",
                });
            }
            let difference = value - covariance[[j, i]];
            if difference.abs() > 1e-12 * largest {
                let what = "a covariance less its transpose";
                return Err(MathError::OutOfRange {
                    what,
                    value: difference,
                    allowed: "0: symmetric",
                });
            }
        }
        Ok(Self { mean: Array1::from(mean.to_vec()), factor: cholesky(covariance)? })
    }

    /// d.
    pub fn dimension(&self) -> usize {
        self.mean.len()
    }

    fn d(&self) -> f64 {
        self.dimension() as f64
    }

    /// `½·ln det Σ = Σ ln L_ii`.
    fn half_log_determinant(&self) -> f64 {
        self.factor.diag().iter().map(|l| l.ln()).sum()
    }

    /// `‖L⁻¹·x‖²`, the squared Mahalanobis length of a difference.
    fn squared_length(&self, mut difference: Array1<f64>) -> f64 {
        solve_lower(&self.factor, difference.view_mut());
        difference.dot(&difference)
    }

    /// `ln p(x)`, in nats.
    ///
    /// # Panics
    /// When `x` has not d coordinates.
    pub fn log_density(&self, x: &[f64]) -> f64 {
        same_dimension(self.dimension(), x.len());
        let distance = self.squared_length(&ArrayView1::from(x) - &self.mean);
        -0.5 * (self.d() * LN_2PI + distance) - self.half_log_determinant()
    }

    /// `H = ½·ln det(2πe·Σ)`, in nats.
    pub fn entropy(&self) -> f64 {
        0.5 * self.d() * (LN_2PI + 1.0) + self.half_log_determinant()
    }

    /// `KL(p‖q) = ½·[‖L_q⁻¹L_p‖² + ‖L_q⁻¹(μ_p − μ_q)‖² − d] + ln det L_q − ln det L_p ≥ 0`, in nats.
    ///
    /// # Panics
    /// When the dimensions differ.
    pub fn kl(&self, other: &Self) -> f64 {
        same_dimension(self.dimension(), other.dimension());
        // L_q⁻¹L_p is lower triangular with diagonal l_p/l_q, so that each coordinate's part is ½·(r − 1 − ln r) with
        // r = (l_p/l_q)², never negative; what is below the diagonal only adds.
        let mut below = 0.0;
        for j in 0..self.dimension() {
            let mut column = self.factor.column(j).to_owned();
            solve_lower(&other.factor, column.view_mut());
            below += column.slice(s![j + 1..]).iter().map(|x| x * x).sum::<f64>();
        }
        let diagonals = self.factor.diag().into_iter().zip(other.factor.diag());
        let spread: f64 = diagonals.map(|(p, q)| exp_m1_minus_x(2.0 * (p / q).ln())).sum();
        0.5 * (spread + below + other.squared_length(&self.mean - &other.mean))
    }
}

/// L of `Σ = L·Lᵀ`, row by row (Cholesky–Banachiewicz).
fn cholesky(covariance: &Array2<f64>) -> Result<Array2<f64>, MathError> {
    let d = covariance.nrows();
    let mut factor = Array2::zeros((d, d));
    for i in 0..d {
        for j in 0..=i {
            let explained: f64 = factor.slice(s![i, ..j]).dot(&factor.slice(s![j, ..j]));
            let rest: f64 = covariance[[i, j]] - explained;
            factor[[i, j]] = if i != j {
                rest / factor[[j, j]]
            } else if rest > 0.0 {
                rest.sqrt()
            } else {
                return Err(MathError::NotPositiveDefinite { row: i, remaining: rest });
            };
        }
    }
    Ok(factor)
}

/// `x ← L⁻¹·x` by forward substitution.
fn solve_lower(factor: &Array2<f64>, mut x: ArrayViewMut1<'_, f64>) {
    for i in 0..x.len() {
        let known = factor.slice(s![i, ..i]).dot(&x.slice(s![..i]));
        x[i] = (x[i] - known) / factor[[i, i]];
    }
}
