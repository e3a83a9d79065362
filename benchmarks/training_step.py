"""The cost of a training step against the published computation of it.

    python -m benchmarks.training_step --config conf/train_...yaml

Both steps, forward and backward; the optimizers' updates, which are the same for all, are left
out. The variants are interleaved in one process, and the shortest run of each counts; the peak of
memory is that of a fresh process each, or what tensors took on a GPU (``--device cuda``).
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import resource
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import torch
import yaml

from benchmarks import published
from benchmarks.bound import count_flops, matrix_peak
from benchmarks.timing import best_times
from espnet2.gan_codec.bscodec.bscodec import BSCodec

Step = Callable[[BSCodec, torch.Tensor], None]


def our_step(model: BSCodec, audio: torch.Tensor) -> None:
    """Both steps of the model over ``audio`` (B, T), forward and backward."""
    for forward_generator in (True, False):
        model(audio, forward_generator=forward_generator)["loss"].backward()


def bf16_step(model: BSCodec, audio: torch.Tensor) -> None:
    """Our step with the networks in bfloat16, whose losses differ a little."""
    model.training_step.use_bf16 = True
    try:
        our_step(model, audio)
    finally:
        model.training_step.use_bf16 = False


def uncached_step(model: BSCodec, audio: torch.Tensor) -> None:
    """The published step with a generator pass for each step."""
    published.step(model, audio, cached=False)


VARIANTS: dict[str, Step] = {
    "published, a generator pass per step": uncached_step,
    "published, one generator pass": published.step,
    "ours": our_step,
    "ours, use_bf16": bf16_step,
}


def build(codec_conf: dict[str, Any], device: str = "cpu") -> BSCodec:
    """A model with random weights in training mode."""
    torch.manual_seed(0)
    return BSCodec(**{**codec_conf, "cache_generator_outputs": True}).train().to(device)


def run_once(step: Step, model: BSCodec, audio: torch.Tensor) -> None:
    """One step, gradients and cache dropped after it."""
    step(model, audio)
    model.zero_grad()
    model._cache = None


def peak_memory(name: str, codec_conf: dict[str, Any], shape: tuple[int, int]) -> float:
    """Peak resident memory of one step above that of the model alone, in bytes.

    For a process of its own: the peak of a process cannot be taken back.
    """
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    model, audio = build(codec_conf), 0.1 * torch.randn(shape)
    gc.collect()
    with open("/proc/self/statm") as file:
        before = int(file.read().split()[1]) * resource.getpagesize()
    run_once(VARIANTS[name], model, audio)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before


def peak_gpu_memory(step: Step, model: BSCodec, audio: torch.Tensor) -> float:
    """Peak of the memory that tensors take on a GPU in one step, above the model's, in bytes."""
    before = torch.cuda.memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    run_once(step, model, audio)
    return torch.cuda.max_memory_allocated() - before


def gpu_clock() -> float:
    """Seconds, once the GPU has done all that it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def report(
    codec_conf: dict[str, Any], shape: tuple[int, int], repeats: int, device: str = "cpu"
) -> str:
    """A table of all variants: seconds, gigabytes, and both relative to ours."""
    model, audio = build(codec_conf, device), 0.1 * torch.randn(shape, device=device)
    runs = [lambda step=step: run_once(step, model, audio) for step in VARIANTS.values()]
    if device == "cuda":
        memory = [peak_gpu_memory(step, model, audio) for step in VARIANTS.values()]
        clock = gpu_clock
    else:
        with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
            memory = [pool.apply(peak_memory, (name, codec_conf, shape)) for name in VARIANTS]
        # the clock of one thread leaves out the time that other processes had
        clock = time.thread_time if torch.get_num_threads() == 1 else time.perf_counter
    times = best_times(runs, repeats, clock)
    ours = list(VARIANTS).index("ours")
    lines = [f"{'training step':36}{'s':>8}{'ratio':>8}{'peak GB':>9}{'ratio':>8}"]
    for name, seconds, size in zip(VARIANTS, times, memory, strict=True):
        row = f"{name:36}{seconds:8.3f}{seconds / times[ours]:8.2f}"
        lines.append(f"{row}{size / 1e9:9.2f}{size / memory[ours]:8.2f}")
    if device == "cpu":
        in_float32 = [t for name, t in zip(VARIANTS, times, strict=True) if "bf16" not in name]
        lines.append(_bound(count_flops(runs[ours]), in_float32))
    return "\n".join(lines)


def _bound(flops: int, times: Sequence[float]) -> str:
    """What our step's products take at the machine's peak, beside steps in float32 (seconds)."""
    peak = matrix_peak(torch.get_num_threads())
    factors = ", ".join(f"x{seconds * peak / flops:.1f}" for seconds in times)
    return (
        f"Ours has {flops / 1e9:.0f} GFLOP of products (LSTMs not seen), {flops / peak:.1f} s at "
        f"the peak of {peak / 1e9:.0f} GFLOP/s:\nin float32 at most {factors} as fast."
    )


def main(arguments: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", required=True, help="training config with a codec_conf")
    parser.add_argument("--batch", type=int, default=2, help="recordings a step (default: 2)")
    parser.add_argument("--samples", type=int, default=24000, help="of each (default: 24000)")
    parser.add_argument("--repeats", type=int, default=3, help="steps of each (default: 3)")
    parser.add_argument("--threads", type=int, help="default: as many as torch takes")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        sys.exit("--device cuda: torch sees no GPU")
    try:
        with open(options.config) as file:
            codec_conf = yaml.safe_load(file)["codec_conf"]
    except (OSError, yaml.YAMLError, KeyError, TypeError) as error:
        sys.exit(f"{options.config}: no codec_conf: {' '.join(str(error).split())}")
    if options.threads:
        torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    print(report(codec_conf, (options.batch, options.samples), options.repeats, options.device))


if __name__ == "__main__":
    main()
