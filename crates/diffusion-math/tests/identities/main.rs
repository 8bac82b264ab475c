//! The identities of the field, one named test each: what `cargo test -p diffusion-math --test identities` verifies.
//!
//! A deterministic identity's tolerance is `C·u·κ` with u the unit roundoff and κ the condition of what is compared; a
//! Monte-Carlo bound is chosen so that another seed would fail with a probability of at most 1e-9.
#![allow(clippy::unwrap_used, clippy::float_cmp)]

mod conversions;
mod denoisers;
mod generators;
mod golden;
mod information;
mod marginals;
mod monte_carlo;
mod posteriors;
