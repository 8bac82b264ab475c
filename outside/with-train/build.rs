//! Tells the program where libtorch lies, so that it runs without `LD_LIBRARY_PATH`.
fn main() {
    let lib = std::env::var("DEP_DIFFUSION_TORCH_LIBTORCH_LIB")
        .expect("diffusion-torch names libtorch's folder");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
}
