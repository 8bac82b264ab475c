"""Trajectories of diffusers' DDPM and DDIM schedulers over their options, on the exact denoiser of a Gaussian mixture.

Writes scheduler_options.json beside this file; needs diffusers and torch:

    python3 scheduler_options.py

Every case holds the scheduler's configuration as given, the arguments of `step`, the timesteps, the start, the noise in
the order in which diffusers drew it, and the sample after every call of `step`. Data: independent coordinates of one
mixture. With a learned variance the second half of the network's output is tanh(x).
"""
import importlib
import json
import pathlib
import warnings

import diffusers
import torch
from diffusers import DDIMScheduler, DDPMScheduler

warnings.filterwarnings("ignore")
MIXTURE = dict(w=[0.3, 0.7], mu=[-0.8, 0.5], s=[0.2, 0.35])
SHAPE = (2, 3, 2)


def denoise(x, alpha, sigma):
    w, mu, s = (torch.tensor(MIXTURE[k], dtype=torch.float64) for k in ("w", "mu", "s"))
    x = x[..., None]
    var = alpha**2 * s**2 + sigma**2
    r = torch.softmax(torch.log(w) - 0.5 * torch.log(var) - 0.5 * (x - alpha * mu) ** 2 / var, -1)
    return (r * (mu + alpha * s**2 / var * (x - alpha * mu))).sum(-1)


def rounded(tensor):
    return [float(f"{v:.9g}") for v in tensor.flatten().tolist()]


def run(cls, config, n_steps, step_kwargs):
    module = importlib.import_module(cls.__module__)
    generator = torch.Generator().manual_seed(1)
    noise = []

    def randn(shape, generator=None, device=None, dtype=None, layout=None, source=generator):
        z = torch.randn(tuple(shape)[:1] + SHAPE[1:], generator=source, dtype=torch.float64)
        noise.append(rounded(z))
        z = torch.tensor(noise[-1], dtype=torch.float64).reshape(z.shape)
        return z.to(dtype)

    original, module.randn_tensor = module.randn_tensor, randn
    try:
        scheduler = cls(**config)
        scheduler.set_timesteps(n_steps)
        x = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
        x = torch.tensor(rounded(x), dtype=torch.float64).reshape(SHAPE)
        case = dict(scheduler=cls.__name__, config=config, n_steps=n_steps, step_kwargs=step_kwargs,
                    timesteps=scheduler.timesteps.tolist(), x_init=rounded(x), samples=[])
        for t in scheduler.timesteps:
            alpha_bar = float(scheduler.alphas_cumprod[int(t)])
            alpha, sigma = alpha_bar**0.5, (1 - alpha_bar) ** 0.5
            x0 = denoise(x, alpha, sigma)
            eps = (x - alpha * x0) / sigma
            kind = scheduler.config.prediction_type
            output = {"epsilon": eps, "sample": x0, "v_prediction": alpha * eps - sigma * x0}[kind]
            if config.get("variance_type") == "learned_range":
                output = torch.cat([output, torch.tanh(x)], 1)
            x = scheduler.step(output, t, x, **step_kwargs).prev_sample.to(torch.float64)
            case["samples"].append(rounded(x))
        case["noise"] = noise
        return case
    finally:
        module.randn_tensor = original


def cases():
    plain = dict(clip_sample=False)
    for spacing in ("leading", "linspace", "trailing"):
        for n in (1, 3, 7, 12):
            for cls in (DDPMScheduler, DDIMScheduler):
                yield cls, dict(plain, timestep_spacing=spacing), n, {}
    for cls in (DDPMScheduler, DDIMScheduler):
        yield cls, {}, 10, {}
        yield cls, dict(clip_sample_range=0.4), 10, {}
        yield cls, dict(plain, steps_offset=1), 10, {}
        yield cls, dict(plain, steps_offset=3, beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012), 9, {}
        yield cls, dict(plain, beta_schedule="squaredcos_cap_v2", num_train_timesteps=100), 9, {}
        yield cls, dict(plain, num_train_timesteps=20, trained_betas=[0.001 + 0.02 * i for i in range(20)]), 6, {}
        yield cls, dict(plain, num_train_timesteps=8, beta_start=0.01, beta_end=0.5), 8, {}
        yield cls, dict(plain, prediction_type="v_prediction"), 6, {}
        yield cls, dict(plain, prediction_type="sample"), 6, {}
        for spacing in ("trailing", "linspace", "leading"):
            yield cls, dict(plain, prediction_type="v_prediction", rescale_betas_zero_snr=True,
                            timestep_spacing=spacing), 5, {}
        yield cls, dict(plain, rescale_betas_zero_snr=True), 5, {}
        yield cls, dict(thresholding=True, dynamic_thresholding_ratio=0.6, sample_max_value=1.3), 6, {}
        yield cls, dict(thresholding=True, dynamic_thresholding_ratio=0.995, sample_max_value=1.0), 6, {}
    yield DDPMScheduler, dict(plain, beta_schedule="sigmoid"), 8, {}
    for variance in ("fixed_small_log", "fixed_large", "learned_range"):
        for spacing in ("leading", "trailing"):
            yield DDPMScheduler, dict(plain, variance_type=variance, timestep_spacing=spacing), 6, {}
    yield DDPMScheduler, dict(plain, variance_type="fixed_large", steps_offset=1), 6, {}
    yield DDPMScheduler, dict(variance_type="learned_range", clip_sample_range=0.5), 6, {}
    yield DDIMScheduler, dict(plain, set_alpha_to_one=False), 6, {}
    yield DDIMScheduler, dict(set_alpha_to_one=False, clip_sample_range=0.4), 6, {}
    yield DDIMScheduler, dict(plain, set_alpha_to_one=False, steps_offset=1), 6, dict(eta=0.7)
    yield DDIMScheduler, dict(plain, set_alpha_to_one=False, timestep_spacing="trailing"), 7, dict(eta=1.0)
    yield DDIMScheduler, dict(plain, timestep_spacing="linspace"), 7, dict(eta=0.5)
    yield DDIMScheduler, dict(clip_sample_range=0.4), 6, dict(use_clipped_model_output=True)
    yield DDIMScheduler, dict(clip_sample_range=0.4), 6, dict(use_clipped_model_output=True, eta=0.5)
    yield DDIMScheduler, dict(thresholding=True, dynamic_thresholding_ratio=0.5, sample_max_value=1.2), 6, dict(eta=1.0)


if __name__ == "__main__":
    done = [run(*case) for case in cases()]
    for case in done:
        assert all(abs(v) < 1e6 for sample in case["samples"] for v in sample), case
    source = f"diffusers {diffusers.__version__}, torch {torch.__version__}"
    lines = ",\n".join(json.dumps(case) for case in done)
    mixture = json.dumps(MIXTURE)
    text = f'{{"source": "{source}", "mixture": {mixture}, "shape": {list(SHAPE)}, "cases": [\n{lines}\n]}}\n'
    path = pathlib.Path(__file__).with_name("scheduler_options.json")
    path.write_text(text)
    print(len(done), "cases,", len(text), "bytes")
