//! A table of learned vectors.

use tch::{TchError, Tensor};

use crate::{Init, ModelError, Scope};

/// Row `i` of a table: `y = weight[i]`.
///
/// - `weight`: `[rows, features]`, `N(0, 1)`.
#[derive(Debug)]
pub struct Embedding {
    weight: Tensor,
}

impl Embedding {
    /// A table of `rows` vectors.
    ///
    /// # Errors
    /// Where a parameter cannot be allocated.
    pub fn new(scope: &Scope<'_>, rows: i64, features: i64) -> Result<Self, ModelError> {
        Ok(Self {
            weight: scope.parameter("weight", &[rows, features], Init::Normal { std: 1.0 })?,
        })
    }

    /// How many rows the table has.
    pub fn rows(&self) -> i64 {
        self.weight.size()[0]
    }

    /// # Shapes
    /// `[B] → [B, features]`, whole numbers in `0..rows`
    ///
    /// # Errors
    /// Where libtorch fails, an index out of range included.
    pub fn forward(&self, indices: &Tensor) -> Result<Tensor, TchError> {
        Tensor::f_embedding(&self.weight, indices, -1, false, false)
    }
}
