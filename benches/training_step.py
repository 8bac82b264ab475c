"""A training step of the default run in PyTorch, for `cargo xtask bench --peers`; training_step.rs is ours.

It does what one who knows PyTorch would write for speed on a CPU: diffusers' UNet2DModel, fused AdamW, foreach clipping
and averaging, gradients set to None. The folder that training_step.rs exports holds configuration, data and first weights.
"""

import argparse
import ctypes
import json
import math
import statistics
import time
from pathlib import Path

# The C allocator's settings of `diffusion train`, so that both sides have the same.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
try:
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, 32 << 20)
    libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
except (OSError, AttributeError):
    pass

import torch
import torch.nn.functional as F
from diffusers import UNet2DModel
from safetensors.torch import load_file

REPORT_EVERY = 10


def cosine_alpha_bars(n_steps):
    """Nichol & Dhariwal 2021, arXiv:2102.09672, Eq. 17, with the step's beta clipped at 0.999."""
    f = lambda t: math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
    betas = [min(1 - f((i + 1) / n_steps) / f(i / n_steps), 0.999) for i in range(n_steps)]
    return torch.cumprod(1 - torch.tensor(betas, dtype=torch.float64), 0)


def learning_rate(section, step, steps):
    """Linear warm-up, then half a cosine."""
    peak, warm_up = section["learning_rate"], section["warmup_steps"]
    if step <= warm_up:
        return peak * step / warm_up
    return peak * 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--export", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--warm-up", type=int, default=5)
    parser.add_argument("--channels-last", action="store_true")
    arguments = parser.parse_args()
    run = json.loads((arguments.export / "run.json").read_text())
    assert run["schedule"]["kind"] == "cosine" and run["objective"]["prediction"] == "v_prediction"

    torch.manual_seed(run["train"]["seed"])
    data = load_file(arguments.export / "data.safetensors")
    images, labels = data["images"], data["labels"]
    no_class, class_dropout = int(labels.max()) + 1, run["objective"]["class_dropout"]
    batch_size = run["train"]["batch_size"]

    network = UNet2DModel.from_pretrained(arguments.export)
    network.train()
    memory_format = torch.channels_last if arguments.channels_last else torch.contiguous_format
    network.to(memory_format=memory_format)
    parameters = [p for p in network.parameters() if p.requires_grad]
    section = run["optimizer"]
    optimizer = torch.optim.AdamW(
        parameters,
        lr=section["learning_rate"],
        betas=section["betas"],
        eps=section["eps"],
        weight_decay=section["weight_decay"],
        fused=True,
    )
    averages = [p.detach().clone() for p in parameters]

    n_steps = run["schedule"]["n_steps"]
    alpha_bars = cosine_alpha_bars(n_steps)
    alphas, sigmas = alpha_bars.sqrt().float(), (1 - alpha_bars).sqrt().float()
    order, position = torch.randperm(len(images)), 0

    milliseconds, losses, pending = [], [], []
    for step in range(arguments.warm_up + arguments.steps):
        begun = time.perf_counter()
        if position + batch_size > len(images):
            order, position = torch.randperm(len(images)), 0
        indices = order[position : position + batch_size]
        position += batch_size
        x0, classes = images[indices], labels[indices]
        if run["objective"]["class_conditional"]:
            classes = classes.masked_fill(torch.rand(batch_size) < class_dropout, no_class)
        eps = torch.randn_like(x0)
        index = torch.randint(0, n_steps, (batch_size,))
        alpha, sigma = alphas[index].view(-1, 1, 1, 1), sigmas[index].view(-1, 1, 1, 1)
        x_t = (alpha * x0 + sigma * eps).contiguous(memory_format=memory_format)
        target = alpha * eps - sigma * x0

        output = network(x_t, index, class_labels=classes, return_dict=False)[0]
        loss = F.mse_loss(output, target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, section["max_gradient_norm"], foreach=True)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(section, step + 1, run["train"]["steps"])
        optimizer.step()
        decay = min(run["ema"]["decay"], (2 + step) / (11 + step))
        torch._foreach_lerp_(averages, [p.detach() for p in parameters], 1 - decay)
        pending.append(loss.detach())
        if step % REPORT_EVERY == 0:
            losses.extend(l.item() for l in pending)
            pending.clear()
        if step >= arguments.warm_up:
            milliseconds.append((time.perf_counter() - begun) * 1e3)

    losses.extend(l.item() for l in pending)
    print(
        f"median {statistics.median(milliseconds):.2f} ms, mean loss {statistics.mean(losses):.4f}, "
        f"{torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
