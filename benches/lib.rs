//! The benchmarks are the files beside this one, run by `cargo xtask bench`; a figure counts as the ratio of two within one run.
