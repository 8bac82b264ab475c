//! Generators, threads, the deterministic mode, the allocator and the diagnosis.

use diffusion_torch::{
    CudaLibrary, CudaProblem, DeviceRequest, RngState, TorchError, diagnose, is_deterministic,
    keep_freed_memory, load_cuda, manual_seed, select, set_deterministic, set_interop_threads,
    set_threads, testing, threads,
};
use tch::{Kind, Tensor};

/// One test: the generators belong to the process, and tests run side by side.
#[test]
fn a_generator_continues_where_its_state_was_taken() {
    let device = testing::device();
    let draw =
        || (Tensor::randn([3], (Kind::Float, device)), Tensor::rand([5], (Kind::Double, device)));
    manual_seed(7).expect("any number");
    let first = draw();
    manual_seed(7).expect("any number");
    assert_eq!(draw(), first);

    // An odd count of normals leaves one in the generator's cache, which is part of its state.
    let _ = Tensor::randn([1], (Kind::Double, device));
    let state = RngState::capture().expect("the CPU has one");
    let next = draw();
    assert_ne!(draw(), next);
    state.restore().expect("its own state");
    assert_eq!(draw(), next);

    let mut broken = state.clone();
    broken.cpu.truncate(100);
    let error = broken.restore().expect_err("it is cut short").to_string();
    assert!(error.contains("set_rng_state"), "{error}");
    state.restore().expect("its own state");
    assert_eq!(draw(), next);
}

#[test]
fn threads_are_set_and_read() {
    let before = threads().expect("numbers").intra_op;
    set_threads(1).expect("one is allowed");
    assert_eq!(threads().expect("numbers").intra_op, 1);
    set_threads(before).expect("as before");
    assert_eq!(
        set_threads(0).expect_err("none is too few").to_string(),
        "threads = 0 is not allowed: at least 1, at most 2147483647"
    );
    // libtorch takes the other pool's size once, and tch panics at the second time.
    let _ = set_interop_threads(1);
    assert!(matches!(set_interop_threads(2), Err(TorchError::Libtorch { .. })));
}

#[test]
fn the_deterministic_mode_is_set_and_read() {
    set_deterministic(true).expect("it is there");
    assert!(is_deterministic().expect("it is there"));
    set_deterministic(false).expect("it is there");
    assert!(!is_deterministic().expect("it is there"));
}

#[test]
fn glibc_takes_the_allocator_settings() {
    assert_eq!(keep_freed_memory(), cfg!(all(target_os = "linux", target_env = "gnu")));
}

#[test]
fn the_diagnosis_agrees_with_the_selection() {
    let found = diagnose().expect("libtorch describes itself");
    assert!(found.version_fits(), "{found:?}");
    assert!(found.libtorch.as_deref().is_some_and(std::path::Path::is_file));
    assert!(found.build.contains("PyTorch built with"));
    assert!(
        ["DEFAULT", "AVX2", "AVX512"].contains(&found.cpu_capability.as_str()),
        "{}",
        found.cpu_capability
    );
    assert_eq!(found.cuda, load_cuda());
    assert_eq!(
        select(DeviceRequest::Auto).expect("auto never fails so").is_cuda(),
        found.device_count() > 0
    );
    assert_eq!(select(DeviceRequest::Cpu).expect("the CPU is there"), tch::Device::Cpu);
    match &found.cuda {
        Ok(count) => {
            assert!(matches!(found.cuda_library, CudaLibrary::Loaded(_)));
            assert_eq!(found.device_names().len(), *count);
            let error =
                select(DeviceRequest::Cuda(Some(*count))).expect_err("one too many").to_string();
            assert!(error.contains("indices start at 0"), "{error}");
        }
        Err(problem) => {
            let error = select(DeviceRequest::Cuda(None)).expect_err("there is none").to_string();
            assert_eq!(error, format!("device cuda is not usable: {problem}"));
            if found.driver.library.is_err() {
                assert!(
                    matches!(
                        problem,
                        CudaProblem::NoDriver { .. } | CudaProblem::DriverHidden { .. }
                    ),
                    "{problem}"
                );
            }
        }
    }
}
