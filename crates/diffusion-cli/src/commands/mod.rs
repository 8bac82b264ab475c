//! The commands, one a file.

pub(crate) mod doctor;
pub(crate) mod evaluate;
pub(crate) mod forward;
pub(crate) mod inspect;
pub(crate) mod sample;
pub(crate) mod train;

use diffusion_torch::{DeviceRequest, TorchError};
use tch::Device;

use crate::exit::usage;

/// `--device`, the same for every command that runs a network.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct DeviceArgument {
    /// auto, cpu, cuda or cuda:N; auto takes a GPU where one is usable
    #[arg(long, default_value = "auto", value_name = "DEVICE")]
    device: DeviceRequest,
}

impl DeviceArgument {
    /// The device asked for; one that is not there is bad usage.
    pub(crate) fn select(self) -> anyhow::Result<Device> {
        diffusion_torch::select(self.device).map_err(|error: TorchError| usage(error))
    }
}

/// The device as a user writes it.
pub(crate) fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}
