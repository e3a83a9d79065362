"""What the GPU benchmark measures: one model's coding, its tokens, and a step as a CUDA graph."""

from __future__ import annotations

import copy
import math
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.coders import Naive
from benchmarks.training_step import build
from espnet2.gan_codec.bscodec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.demo.info import processor
from espnet2.gan_codec.bscodec.format.audio import write_audio
from espnet2.gan_codec.bscodec.hub.checkpoint import LoadedModel
from espnet2.gan_codec.bscodec.inference.streaming_codec import StreamDecoder, encode_batch
from espnet2.gan_codec.bscodec.model.config import BF16, FLOAT32
from espnet2.gan_codec.bscodec.model.quantizers.simvq import SimVQ, principal_map
from espnet2.gan_codec.bscodec.tokens.coding import BatchPolicy, encode_lines

NAIVE = "naive"
TF32 = "tf32"
TOKENS_BATCH = 120.0  # seconds of audio in a batch, as ``tokenize`` has it on a GPU
MOST_REPEATS = 20


@dataclass(frozen=True)
class Measured:
    """A row of the table.

    Attributes:
        hours: of audio in an hour.
        peak_bytes: of tensors on the GPU; None on a CPU.
        unlike_cpu: share of codes that are not those of the CPU in float32; None: no codes.
    """

    model: str
    what: str
    precision: str
    batch: int
    hours: float
    peak_bytes: int | None = None
    unlike_cpu: float | None = None

    def cells(self) -> list[str]:
        """The row as text."""
        peak = "-" if self.peak_bytes is None else f"{self.peak_bytes / 1e9:.2f}"
        unlike = "-" if self.unlike_cpu is None else f"{self.unlike_cpu:.2%}"
        names = [self.model, self.what, self.precision]
        return [*names, str(self.batch), f"{self.hours:,.0f}", peak, unlike]


def device_name(device: torch.device) -> str:
    """The card's name, or the processor's."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else processor()


@contextmanager
def computing(precision: str, model: BSCodec) -> Iterator[None]:
    """Products by that precision: of the networks by the backend, and TF32 as torch has it."""
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision in (TF32, BF16)
    backend = model.generator.backend
    backend.precision = BF16 if precision == BF16 else FLOAT32
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
        backend.precision = FLOAT32


def timed(
    function: Callable[[], object], device: torch.device, least: float
) -> tuple[float, int | None]:
    """Shortest time of a run in seconds, of as many as take ``least``, and the peak of memory.

    A first run, for what libraries choose and allocate, is not counted.
    """
    function()
    on_gpu = device.type == "cuda"
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    best, total, runs = float("inf"), 0.0, 0
    while not runs or (total < least and runs < MOST_REPEATS):
        start = time.perf_counter()
        function()
        if on_gpu:
            torch.cuda.synchronize()
        elapsed = time.perf_counter() - start
        best, total, runs = min(best, elapsed), total + elapsed, runs + 1
    return best, torch.cuda.max_memory_allocated() if on_gpu else None


@torch.no_grad()
def spread_codebooks(model: BSCodec, audio: torch.Tensor) -> None:
    """Move the codebooks of random weights to the latents of audio (T,).

    These lie so close together that one code would else be the nearest to them all, and two
    computations could not differ.
    """
    latents = model.generator.latents(audio[None, None])
    for layer, x in zip(model.generator.quantizer.layers, latents, strict=True):
        frames = x[0].t()
        if isinstance(layer, SimVQ):
            dim = layer.frozen_codebook.shape[1] - 1
            bits = math.log2(len(layer.frozen_codebook))
            # the last column of the map is the mean, by a last coordinate of 1
            layer.code_transform.weight[:, :dim] = principal_map(frames.t().cov(), dim, bits)
            layer.code_transform.weight[:, dim] = frames.mean(dim=0)
            layer.frozen_codebook[:, dim] = 1
        else:
            frames = layer.project_in(frames)
            spread = frames.std(dim=0) * torch.randn_like(layer.codebook)
            layer.codebook.copy_(frames.mean(dim=0) + spread)


class Parts:
    """The measurements of one model.

    Args:
        name: of the model in the table.
        model: on the CPU; it is copied to the device.
        device: that is measured.
        scope: see :class:`benchmarks.gpu.Scope`.
        is_random: whether its weights are: its codebooks are moved then.
    """

    def __init__(
        self, name: str, model: BSCodec, device: torch.device, scope: Any, is_random: bool
    ) -> None:
        self.name, self.device, self.scope = name, device, scope
        length = round(scope.seconds * model.sampling_rate)
        generator = torch.Generator().manual_seed(0)
        self.audio = 0.1 * torch.randn(max(scope.batches), length, generator=generator)
        if is_random:
            spread_codebooks(model, self.audio[0])
        with torch.inference_mode():
            self.cpu_codes = encode_batch(model, [self.audio[0]])[0]
        self.model = copy.deepcopy(model).to(device).eval()

    def coding(self, precision: str, batch: int) -> list[Measured]:
        """Encode and decode a batch that is on the device already."""
        model, audio = self.model, self.audio[:batch].to(self.device)
        sizes = model.codebook_sizes
        frames = self.cpu_codes.shape[1]
        codes = torch.stack([torch.randint(size, (batch, frames)) for size in sizes], dim=1)
        codes = codes.to(self.device)
        naive = Naive(model)

        def encode() -> torch.Tensor:
            if precision == NAIVE:
                return naive.encode_signal(audio[:, None])
            return torch.stack(encode_batch(model, list(audio)))

        def decode() -> torch.Tensor:
            if precision == NAIVE:
                return naive.decode_signal(codes)
            return StreamDecoder(model, batch).push(codes, last=True)

        rows = []
        with computing(precision, model), torch.inference_mode():
            unlike = (encode()[0].cpu() != self.cpu_codes).float().mean().item()
            for what, function in (("encode", encode), ("decode", decode)):
                elapsed, peak = timed(function, self.device, self.scope.least)
                hours = batch * self.scope.seconds / elapsed
                share = unlike if what == "encode" else None
                rows.append(Measured(self.name, what, precision, batch, hours, peak, share))
        return rows

    def tokens(self, precision: str) -> list[Measured]:
        """What ``tokenize`` does, from WAV files, and from audio that has been read before."""
        scope, rate = self.scope, self.model.sampling_rate
        codec = Codec(LoadedModel(self.model, "benchmark", "0" * 64, Path()))
        noise = self.audio[0].numpy()
        num_bands, policy = len(codec.bands), BatchPolicy(TOKENS_BATCH, num_readers=8)
        batch = min(scope.files, max(1, int(TOKENS_BATCH / scope.seconds)))

        def at_hand() -> None:
            for first in range(0, scope.files, batch):
                count = min(batch, scope.files - first)
                codec.encode_many([noise] * count, rate, num_bands)

        with tempfile.TemporaryDirectory() as folder:
            lines = []
            for i in range(scope.files):
                path = str(Path(folder, f"{i}.wav"))
                with write_audio(path, rate, len(noise), False, 1) as writer:
                    writer.append(np.asarray(noise))
                lines.append((str(i), path))

            def from_files() -> None:
                for encoded in encode_lines(codec, lines, num_bands, policy):
                    if encoded.codes is None:
                        raise RuntimeError(encoded.reason)

            rows = []
            for what, function in (
                ("tokenize, at hand", at_hand),
                ("tokenize, files", from_files),
            ):
                with computing(precision, self.model), torch.inference_mode():
                    elapsed, peak = timed(function, self.device, 0.0)
                hours = scope.files * scope.seconds / elapsed
                rows.append(Measured(self.name, what, precision, batch, hours, peak))
        return rows


def graphed_step(
    codec_conf: dict[str, Any], device: torch.device, scope: Any, graph: bool, bf16: bool
) -> list[Measured]:
    """The generator step of a small model, with or without a CUDA graph (none on a CPU)."""
    batch, samples = scope.training
    # a graph cannot be of the trials of new maps, so both are without
    params = {**codec_conf["generator_params"], "quantize_refit_interval": 0}
    changes = {"generator_params": params, "use_cuda_graph": graph, "use_bf16": bf16}
    model = build({**codec_conf, **changes}, device.type)
    audio = 0.1 * torch.randn(batch, samples, device=device)

    def step() -> None:
        model.zero_grad()
        model(audio, forward_generator=True)["loss"].backward()

    elapsed, peak = timed(step, device, scope.least)
    what = f"training step{', CUDA graph' if graph else ''}"
    hours = batch * samples / model.sampling_rate / elapsed
    return [Measured("mini", what, BF16 if bf16 else FLOAT32, batch, hours, peak)]
