//! Lets this package's benchmarks find libtorch without `LD_LIBRARY_PATH`.
fn main() {
    let lib = std::env::var("DEP_DIFFUSION_TORCH_LIBTORCH_LIB")
        .expect("diffusion-torch names libtorch's library folder");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
}
