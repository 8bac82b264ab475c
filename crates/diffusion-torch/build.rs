//! Builds the C++ shim and hands libtorch's library folder to the build scripts of dependents.
//!
//! Nothing tells a binary where libtorch lies unless its own package says so: `rustc-link-arg` reaches only the package
//! whose build script prints it. So every package with a binary, a test, a bench or an example depends on
//! `diffusion-torch` **directly** (cargo hands `links` metadata to direct dependents alone) and has a build script whose
//! `main` is:
//!
//! ```text
//! let lib = std::env::var("DEP_DIFFUSION_TORCH_LIBTORCH_LIB").expect("diffusion-torch names libtorch's folder");
//! println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
//! ```

use std::path::{Path, PathBuf};
use std::process::exit;

/// What tch 0.26 binds.
const EXPECTED_VERSION: &str = "2.13.0";

/// The headers whose absence would otherwise show as a page of C++ errors.
const NEEDED_HEADERS: [&str; 3] =
    ["ATen/core/Tensor.h", "ATen/ops/_fused_adamw.h", "ATen/ops/_foreach_norm.h"];

fn main() {
    println!("cargo::rerun-if-changed=shim/diffusion_torch.cpp");
    println!("cargo::rerun-if-env-changed=LIBTORCH_INCLUDE");
    let lib = PathBuf::from(
        std::env::var_os("DEP_TCH_LIBTORCH_LIB")
            .expect("torch-sys's build script names libtorch's library folder"),
    );
    let include = include_folder(&lib);
    check_headers(&include);
    check_version(&include);

    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .pic(true)
        .flag("-ffp-contract=off") // a fused multiply-add rounds differently: the same bits on every machine
        .opt_level(3) // also in a debug build: the one loop of the shim runs four times slower at 2, unvectorised
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .flag("-isystem")
        .flag(include.as_os_str())
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include").as_os_str())
        .file("shim/diffusion_torch.cpp");
    if build.get_compiler().is_like_gnu() {
        build.flag("-fopenmp"); // at::parallel_for is serial without it; torch-sys links libgomp
    }
    build.compile("diffusion_torch_shim");

    println!("cargo::metadata=LIBTORCH_LIB={}", lib.display());
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", lib.display());
}

/// The headers lie beside the libraries, or where `LIBTORCH_INCLUDE` says (the variable is torch-sys's).
fn include_folder(lib: &Path) -> PathBuf {
    let root = std::env::var_os("LIBTORCH_INCLUDE").map(PathBuf::from);
    let root = root.or_else(|| lib.parent().map(Path::to_path_buf));
    root.expect("libtorch's library folder has a parent").join("include")
}

fn check_headers(include: &Path) {
    for header in NEEDED_HEADERS {
        if !include.join(header).is_file() {
            refuse(&format!(
                "libtorch's header {header} is not in {}; run `cargo xtask setup`, or set LIBTORCH to a libtorch \
                 {EXPECTED_VERSION} that has its include folder",
                include.display()
            ));
        }
    }
}

fn check_version(include: &Path) {
    let header = include.join("torch/headeronly/version.h");
    let Ok(text) = std::fs::read_to_string(&header) else {
        return; // older than this header, or moved: the C++ compiler has the last word
    };
    let part = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(&format!("#define TORCH_VERSION_{name} ")))
            .map(str::trim)
    };
    if let (Some(major), Some(minor), Some(patch)) = (part("MAJOR"), part("MINOR"), part("PATCH")) {
        let found = format!("{major}.{minor}.{patch}");
        if found != EXPECTED_VERSION {
            refuse(&format!(
                "libtorch in {} is {found}, and tch binds {EXPECTED_VERSION} alone; run `cargo xtask setup`",
                include.display()
            ));
        }
    }
}

fn refuse(reason: &str) -> ! {
    println!("cargo::error={reason}");
    exit(1)
}
