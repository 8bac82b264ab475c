"""Writes optimisers.json: what PyTorch's AdamW and gradient clipping compute, for tests/adamw.rs and tests/lists.rs.

Run with torch 2.13.0: python3 optimisers.py
All inputs are multiples of 1/8, so that Rust builds the same ones exactly.
"""

import json
import pathlib

import torch

SHAPES = [[4, 3], [5], [2, 3, 3, 3]]


def parameter(number, shape):
    n = torch.Size(shape).numel()
    values = [((3 * k + number) % 7 - 3) / 4 for k in range(n)]
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


def gradient(number, shape, step):
    n = torch.Size(shape).numel()
    values = [((7 * k + 13 * step + 5 * number) % 11 - 5) / 8 for k in range(n)]
    return torch.tensor(values, dtype=torch.float32).reshape(shape)


def adamw(groups, betas, eps, rates, channels_last):
    parameters = [torch.nn.Parameter(parameter(i, shape)) for i, shape in enumerate(SHAPES)]
    if channels_last:
        parameters[2].data = parameters[2].data.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(
        [{"params": [parameters[i] for i in members], "weight_decay": decay} for members, decay in groups],
        betas=betas, eps=eps, fused=True,
    )
    for step, rate in enumerate(rates, start=1):
        for i, shape in enumerate(SHAPES):
            parameters[i].grad = gradient(i, shape, step).contiguous(
                memory_format=torch.channels_last if channels_last and i == 2 else torch.contiguous_format
            )
        for group in optimiser.param_groups:
            group["lr"] = rate
        optimiser.step()
    return {
        "groups": [{"members": members, "weight_decay": decay} for members, decay in groups],
        "betas": betas,
        "eps": eps,
        "rates": rates,
        "channels_last": channels_last,
        "parameters": [p.detach().flatten().tolist() for p in parameters],
        "exp_avg": [optimiser.state[p]["exp_avg"].flatten().tolist() for p in parameters],
        "exp_avg_sq": [optimiser.state[p]["exp_avg_sq"].flatten().tolist() for p in parameters],
    }


def clip(max_norm, scale=1.0):
    parameters = [torch.nn.Parameter(parameter(i, shape)) for i, shape in enumerate(SHAPES)]
    for i, shape in enumerate(SHAPES):
        parameters[i].grad = gradient(i, shape, 1) * scale
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_norm)
    return {
        "max_norm": max_norm,
        "scale": scale,
        "norm": norm.item(),
        "gradients": [p.grad.flatten().tolist() for p in parameters],
    }


RATES = [1e-2, 1e-2, 5e-3, 2e-3, 1e-3, 1e-3]
golden = {
    "torch": torch.__version__,
    "adamw": [
        adamw([([0, 1, 2], 0.01)], (0.9, 0.999), 1e-8, RATES, False),
        adamw([([0, 1, 2], 0.01)], (0.9, 0.999), 1e-8, RATES, True),
        adamw([([0, 2], 0.1), ([1], 0.0)], (0.8, 0.95), 1e-6, RATES, False),
    ],
    # In the last case the norm is about the 1e-6 that PyTorch adds to it.
    "clip": [clip(1.0), clip(0.03125), clip(1000.0), clip(2.0**-22, 2.0**-21)],
}
path = pathlib.Path(__file__).with_name("optimisers.json")
path.write_text(json.dumps(golden) + "\n")
