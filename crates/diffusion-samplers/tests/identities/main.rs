//! What every sampler promises, one named test each: `cargo test -p diffusion-samplers --test identities`.
//!
//! The denoisers are exact, so that nothing is trained and every expectation is known in closed form.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::excessive_precision, clippy::print_stdout)]

mod determinism;
mod edges;
mod equivalences;
mod exact_laws;
mod guidance;
mod orders;
mod problems;
