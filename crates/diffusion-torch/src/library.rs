//! Which libtorch this process has loaded, and the few dlopen calls that the crate makes.

use std::ffi::{CStr, CString, OsStr, c_void};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::TorchError;

/// The version that tch 0.26 binds, and no other.
pub const EXPECTED_VERSION: &str = "2.13.0";

/// A function of libtorch with a C name; it packs the version into a number.
const ABI_VERSION: &CStr = c"aoti_torch_abi_version";

/// The version of the loaded libtorch, as `major.minor.patch`; `None` where it is too old to tell.
pub fn loaded_version() -> Option<String> {
    let address = symbol(None, ABI_VERSION)?;
    // SAFETY: in every libtorch that has it, the symbol is `uint64_t aoti_torch_abi_version()`, which returns a constant.
    let abi_version: extern "C" fn() -> u64 = unsafe { std::mem::transmute(address) };
    let [major, minor, patch, ..] = abi_version().to_be_bytes();
    Some(format!("{major}.{minor}.{patch}"))
}

/// The file from which libtorch's CPU library was loaded.
pub fn loaded_path() -> Option<PathBuf> {
    let address = symbol(None, ABI_VERSION)?;
    // SAFETY: all fields of a `Dl_info` are pointers, for which zero is a value.
    let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: `dladdr` takes any address and fills `info`, which lives on this frame.
    let found = unsafe { libc::dladdr(address, &mut info) };
    if found == 0 || info.dli_fname.is_null() {
        return None;
    }
    // SAFETY: a `dladdr` that succeeded leaves a NUL-terminated path that lives as long as the library is loaded.
    let path = unsafe { CStr::from_ptr(info.dli_fname) };
    Some(PathBuf::from(std::ffi::OsString::from_vec(path.to_bytes().to_vec())))
}

/// Refuses a libtorch of another version than [`EXPECTED_VERSION`].
///
/// A library so different that a symbol is missing never gets here: the loader ends the process at its start.
///
/// # Errors
/// [`TorchError::Version`], with the version and file found.
pub fn check_version() -> Result<(), TorchError> {
    accept(loaded_version(), loaded_path())
}

fn accept(found: Option<String>, path: Option<PathBuf>) -> Result<(), TorchError> {
    if found.as_deref() == Some(EXPECTED_VERSION) {
        return Ok(());
    }
    Err(TorchError::Version { expected: EXPECTED_VERSION, found, path })
}

/// A loaded library; it stays loaded until the process ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Library(*mut c_void);

// SAFETY: the handle is only passed to dlsym, which any thread may call.
unsafe impl Send for Library {}
// SAFETY: as above.
unsafe impl Sync for Library {}

/// Loads a library with all of its symbols visible to the libraries that come later.
pub(crate) fn open(file: impl AsRef<OsStr>) -> Result<Library, String> {
    let path = CString::new(file.as_ref().as_bytes()).map_err(|error| error.to_string())?;
    // SAFETY: `path` is NUL-terminated. The initialisers that run are those of libtorch_cuda or of the NVIDIA driver, which
    // are made to be loaded this way.
    let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
    if !handle.is_null() {
        return Ok(Library(handle));
    }
    // SAFETY: after a failed dlopen on this thread, dlerror returns its message, NUL-terminated, or null.
    let text = unsafe { libc::dlerror() };
    if text.is_null() {
        return Err(format!("{} does not load", Path::new(file.as_ref()).display()));
    }
    // SAFETY: not null, so NUL-terminated, and valid until the next dl call of this thread.
    Err(unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

/// The address of a symbol in `library`, or in everything loaded so far.
pub(crate) fn symbol(library: Option<Library>, name: &CStr) -> Option<*const c_void> {
    let handle = library.map_or(libc::RTLD_DEFAULT, |library| library.0);
    // SAFETY: the handle is RTLD_DEFAULT or came from a dlopen that succeeded; the name is NUL-terminated.
    let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
    (!address.is_null()).then_some(address.cast_const())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_libtorch_is_the_one_that_tch_binds() {
        assert_eq!(loaded_version().as_deref(), Some(EXPECTED_VERSION));
        let path = loaded_path().expect("the loader knows the file");
        assert!(path.ends_with("lib/libtorch_cpu.so"), "{}", path.display());
    }

    #[test]
    fn another_version_is_refused_with_its_number_and_file() {
        let error = accept(Some("2.12.1".into()), Some("/opt/libtorch/lib/libtorch_cpu.so".into()));
        let text = error.expect_err("2.12.1 is not 2.13.0").to_string();
        assert_eq!(text, "libtorch 2.13.0 is needed, /opt/libtorch/lib/libtorch_cpu.so is 2.12.1");
        let text = accept(None, None).expect_err("no version is not 2.13.0").to_string();
        assert_eq!(text, "libtorch 2.13.0 is needed, the loaded one is of unknown version");
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let error = open("libdiffusion_no_such_library.so").expect_err("there is none");
        assert!(error.contains("libdiffusion_no_such_library.so"), "{error}");
    }
}
