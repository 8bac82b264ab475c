//! The one place where a device is chosen.

use std::fmt;
use std::str::FromStr;

use tch::Device;

use crate::{CudaProblem, TorchError, check_version, load_cuda};

/// The device that a user asks for, in the form `auto`, `cpu`, `cuda` or `cuda:N`.
///
/// ```
/// use diffusion_torch::DeviceRequest;
/// assert_eq!("cuda:1".parse::<DeviceRequest>()?, DeviceRequest::Cuda(Some(1)));
/// assert_eq!(DeviceRequest::Cuda(None).to_string(), "cuda");
/// assert!("gpu".parse::<DeviceRequest>().is_err());
/// # Ok::<(), diffusion_torch::TorchError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeviceRequest {
    /// The first CUDA device where one is usable, else the CPU.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this index, or the first one.
    Cuda(Option<usize>),
}

impl FromStr for DeviceRequest {
    type Err = TorchError;

    fn from_str(text: &str) -> Result<Self, TorchError> {
        let unknown = || TorchError::UnknownDevice { given: text.to_owned() };
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(None)),
            _ => {
                let digits = text.strip_prefix("cuda:").ok_or_else(unknown)?;
                // `usize::from_str` takes a leading plus.
                let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
                let index = digits.parse().ok().filter(|_| all_digits).ok_or_else(unknown)?;
                Ok(Self::Cuda(Some(index)))
            }
        }
    }
}

impl fmt::Display for DeviceRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(None) => f.write_str("cuda"),
            Self::Cuda(Some(index)) => write!(f, "cuda:{index}"),
        }
    }
}

/// The device that a request means on this machine; checks libtorch's version and loads its CUDA library on the way.
///
/// Call it before the first tensor, see [`load_cuda`]. `Cpu` loads nothing.
///
/// # Errors
/// [`TorchError::DeviceUnavailable`] with the reason where the device asked for is not there (`Auto` never fails so), and
/// [`TorchError::Version`] where libtorch is not the version that tch binds.
pub fn select(request: DeviceRequest) -> Result<Device, TorchError> {
    check_version()?;
    if request == DeviceRequest::Cpu {
        return Ok(Device::Cpu);
    }
    choose(request, load_cuda())
}

fn choose(request: DeviceRequest, cuda: Result<usize, CudaProblem>) -> Result<Device, TorchError> {
    let unavailable = |problem| TorchError::DeviceUnavailable { requested: request, problem };
    match (request, cuda) {
        (DeviceRequest::Cpu, _) | (DeviceRequest::Auto, Err(_)) => Ok(Device::Cpu),
        (DeviceRequest::Auto, Ok(_)) => Ok(Device::Cuda(0)),
        (DeviceRequest::Cuda(_), Err(problem)) => Err(unavailable(problem)),
        (DeviceRequest::Cuda(index), Ok(count)) => {
            let index = index.unwrap_or(0);
            if index < count {
                Ok(Device::Cuda(index))
            } else {
                Err(unavailable(CudaProblem::NoSuchDevice { index, count }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_reads_back_as_it_was_written() {
        for text in ["auto", "cpu", "cuda", "cuda:0", "cuda:17"] {
            assert_eq!(text.parse::<DeviceRequest>().expect("it is one").to_string(), text);
        }
        for text in ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:+1", "cuda:1x", "cuda1", "mps"] {
            let error = text.parse::<DeviceRequest>().expect_err("it is none").to_string();
            assert_eq!(
                error,
                format!("`{text}` is no device; allowed are auto, cpu, cuda, cuda:N")
            );
        }
    }

    #[test]
    fn a_device_that_is_not_there_is_an_error_and_auto_takes_what_is() {
        let none = || Err(CudaProblem::NoDevice);
        assert_eq!(choose(DeviceRequest::Auto, none()).expect("the CPU is there"), Device::Cpu);
        assert_eq!(choose(DeviceRequest::Auto, Ok(2)).expect("it is there"), Device::Cuda(0));
        assert_eq!(
            choose(DeviceRequest::Cuda(Some(1)), Ok(2)).expect("it is there"),
            Device::Cuda(1)
        );
        let error =
            choose(DeviceRequest::Cuda(None), none()).expect_err("there is none").to_string();
        assert_eq!(error, "device cuda is not usable: the NVIDIA driver finds no device");
        let error =
            choose(DeviceRequest::Cuda(Some(2)), Ok(2)).expect_err("there are two").to_string();
        assert_eq!(
            error,
            "device cuda:2 is not usable: there are 2 devices only: indices start at 0"
        );
    }
}
