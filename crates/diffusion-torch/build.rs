//! Builds the C++ shim and hands libtorch's library folder to dependents.
fn main() {
    let lib = std::env::var("DEP_TCH_LIBTORCH_LIB").expect("torch-sys's build script names libtorch's library folder");
    println!("cargo::metadata=LIBTORCH_LIB={lib}");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{lib}");
}
