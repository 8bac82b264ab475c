#!/usr/bin/env python3
"""Samples of a class-conditional model trained here, drawn by Python's diffusers.

    python3 docs/scripts/sample_with_diffusers.py runs/mnist/pipeline digits.png [--guidance 2] [--steps 50]

diffusers' DDIMPipeline passes no class to the network, so this loop does: a row a class, ten samples a row. Needs
diffusers (0.42.1 was used), torch and pillow.
"""

import argparse
import pathlib

import torch
from diffusers import DDIMScheduler, UNet2DModel
from PIL import Image


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pipeline", type=pathlib.Path)
    parser.add_argument("picture", type=pathlib.Path)
    parser.add_argument("--guidance", type=float, default=2.0)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--columns", type=int, default=10)
    arguments = parser.parse_args()

    unet = UNet2DModel.from_pretrained(arguments.pipeline / "unet").eval()
    scheduler = DDIMScheduler.from_pretrained(arguments.pipeline / "scheduler")
    # The last row of the class table means "no class".
    n_classes = unet.config.num_class_embeds - 1
    classes = torch.arange(n_classes).repeat_interleave(arguments.columns)
    no_class = torch.full_like(classes, n_classes)
    scheduler.set_timesteps(arguments.steps)
    size = unet.config.sample_size
    x = torch.randn(len(classes), unet.config.in_channels, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for t in scheduler.timesteps:
            both = unet(torch.cat([x, x]), t, torch.cat([classes, no_class])).sample
            conditional, unconditional = both.chunk(2)
            guided = unconditional + arguments.guidance * (conditional - unconditional)
            x = scheduler.step(guided, t, x).prev_sample

    pixels = ((x / 2 + 0.5).clamp(0, 1) * 255).round().byte()
    grid = pixels.reshape(n_classes, arguments.columns, -1, size, size).permute(2, 0, 3, 1, 4)
    grid = grid.reshape(-1, n_classes * size, arguments.columns * size)
    array = grid[0].numpy() if len(grid) == 1 else grid.permute(1, 2, 0).numpy()
    Image.fromarray(array).save(arguments.picture)
    print(arguments.picture)


if __name__ == "__main__":
    main()
