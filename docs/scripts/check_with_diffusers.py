#!/usr/bin/env python3
"""diffusers loads what was trained here, and its UNet gives the numbers of `diffusion forward`.

    python3 docs/scripts/check_with_diffusers.py runs/mnist/pipeline [--diffusion target/release/diffusion]

Needs diffusers (0.42.1 was used), torch and safetensors. Exits 1 where an output differs by more than 1e-4.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile

import torch
from diffusers import DDIMScheduler, UNet2DModel
from safetensors.torch import save_file


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", type=pathlib.Path)
    parser.add_argument("--diffusion", default="target/release/diffusion", help="the diffusion program")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    arguments = parser.parse_args()

    unet = UNet2DModel.from_pretrained(arguments.pipeline / "unet").eval()
    scheduler = DDIMScheduler.from_pretrained(arguments.pipeline / "scheduler")
    print(f"diffusers loaded {type(unet).__name__}, {unet.num_parameters()} parameters, and {type(scheduler).__name__}")

    torch.manual_seed(0)
    n, config = 4, unet.config
    inputs = {
        "sample": torch.randn(n, config.in_channels, config.sample_size, config.sample_size),
        "timestep": torch.tensor([0.0, 1.0, 500.0, 999.0]),
    }
    if config.num_class_embeds is not None:
        inputs["class_labels"] = torch.arange(n) % config.num_class_embeds
    with torch.no_grad():
        expected = unet(inputs["sample"], inputs["timestep"], inputs.get("class_labels")).sample

    with tempfile.TemporaryDirectory() as folder:
        io = pathlib.Path(folder) / "io.safetensors"
        tensors = {f"in.{name}": tensor for name, tensor in inputs.items()} | {"out.sample": expected}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, io)
        model = str(arguments.pipeline / "unet")
        command = [arguments.diffusion, "forward", model, "--io", str(io), "--check", str(arguments.tolerance)]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
