"""Coding in bfloat16 against coding in float32: time, error, codes, and what the codes are worth.

    python -m benchmarks.precision

The 3-band model of published size has random weights, `bscodec-mini` its own.  Both precisions
are interleaved in one process, and the shortest run counts.  The error of encoding is that of
latents, before they are quantized.  Codes and distances (auraloss) are those of the
demonstration's clips: each precision decodes what it has coded.
"""

from __future__ import annotations

import argparse
import copy
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.coders import Streamed
from benchmarks.measure import DIRECTIONS, task
from benchmarks.systems import THREE_BANDS, packaged, published
from benchmarks.timing import best_times
from espnet2.gan_codec.bscodec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.demo.clips import find_clips
from espnet2.gan_codec.bscodec.format.audio import AudioReader
from espnet2.gan_codec.bscodec.format.channels import MEAN, ChannelMix
from espnet2.gan_codec.bscodec.inference.half_precision import has_bf16_units
from espnet2.gan_codec.bscodec.inference.products import activation
from espnet2.gan_codec.bscodec.model.config import BF16, FLOAT32, PRECISIONS
from espnet2.gan_codec.scoring.markdown import markdown_table
from espnet2.gan_codec.scoring.metrics.mel_distance import MelDistance
from espnet2.gan_codec.scoring.metrics.metric import UnavailableError
from espnet2.gan_codec.scoring.metrics.stft_distance import STFTDistance
from espnet2.gan_codec.shared.encoder.snake_activation import Snake1d

NOTES = """\
float32, bf16: seconds of audio coded in a second. error: of latents (encode) or audio (decode) in
bf16, relative to those in float32; in brackets, relative to how much these vary over time."""


@dataclass(frozen=True)
class Row:
    """One model and direction.

    Attributes:
        elapsed: the shortest time in each precision, in seconds, of ``audio_seconds`` of audio.
        error: relative, and ``error_of_variation`` relative to what varies over time.
    """

    model: str
    direction: str
    audio_seconds: float
    elapsed: tuple[float, float]
    error: float
    error_of_variation: float

    def cells(self) -> list[str]:
        """The row of the table."""
        speeds = [f"{self.audio_seconds / seconds:.3g}" for seconds in self.elapsed]
        ratio = f"x{self.elapsed[0] / self.elapsed[1]:.2f}"
        error = f"{_decibels(self.error)} ({_decibels(self.error_of_variation)}) dB"
        return [self.model, self.direction, *speeds, ratio, error]


def _clock() -> Callable[[], float]:
    """That of one thread leaves out the time that other processes had."""
    return time.thread_time if torch.get_num_threads() == 1 else time.perf_counter


@contextmanager
def in_precision(model: BSCodec, precision: str) -> Iterator[None]:
    """Let a model code in a precision within this context."""
    backend = model.generator.backend
    before, backend.precision = backend.precision, precision
    try:
        yield
    finally:
        backend.precision = before


def speed_rows(name: str, model: BSCodec, seconds: float, repeats: int) -> Iterator[Row]:
    """Time a model in both precisions and compare what comes out."""
    coder = Streamed(model)
    clock = _clock()
    for direction in DIRECTIONS:
        code = task(coder, direction, seconds)

        def run(precision: str, code=code) -> None:
            with in_precision(model, precision):
                code()

        for precision in PRECISIONS:  # weights are folded in the first run
            run(precision)
        elapsed = best_times(
            [lambda p=precision: run(p) for precision in PRECISIONS], repeats, clock
        )
        exact, rounded = (_signals(coder, model, direction, seconds, p) for p in PRECISIONS)
        errors = _errors(rounded, exact)
        yield Row(name, direction, seconds, (elapsed[0], elapsed[1]), *errors)


def _signals(
    coder: Streamed, model: BSCodec, direction: str, seconds: float, precision: str
) -> list[torch.Tensor]:
    """Each band's latents of noise, or the audio of random codes."""
    with in_precision(model, precision), torch.no_grad():
        if direction == "encode":
            torch.manual_seed(0)
            audio = 0.1 * torch.randn(1, 1, round(seconds * coder.sampling_rate))
            return model.generator.latents(audio)
        return [torch.from_numpy(np.concatenate(list(coder.decode(coder.codes(seconds)))))]


def _errors(signals: Sequence[torch.Tensor], exact: Sequence[torch.Tensor]) -> tuple[float, float]:
    error = sum(float((x - y).square().sum()) for x, y in zip(signals, exact, strict=True))
    whole = sum(float(y.square().sum()) for y in exact)
    varying = sum(float((y - y.mean(-1, keepdim=True)).square().sum()) for y in exact)
    return math.sqrt(error / whole), math.sqrt(error / varying)


def _decibels(ratio: float) -> str:
    return f"{20 * math.log10(ratio):.1f}"


def parts_table() -> str:
    """What the engine is made of, at the 3-band model's sizes: milliseconds in both precisions."""
    torch.manual_seed(0)
    conv = torch.randn(32, 64, 1, 7).contiguous(memory_format=torch.channels_last)
    matrix, lstm, snake = torch.randn(512, 512), torch.nn.LSTM(512, 512, 2), activation(Snake1d())
    signal, wide = torch.randn(1, 16000, 64), torch.randn(1, 2000, 512)
    half_lstm = copy.deepcopy(lstm).bfloat16()

    def functions(dtype: torch.dtype) -> dict[str, Callable[[], object]]:
        x, y, w, m = (t.to(dtype) for t in (signal, wide, conv, matrix))
        run = lstm if dtype == torch.float32 else half_lstm
        return {
            "convolution, 64 to 32 channels, kernel 7, 16000 samples": lambda: F.conv2d(
                x.mT.unsqueeze(2), w
            ),
            "matrix product, 2000 x 512 x 512": lambda: y[0] @ m,
            "LSTM, two layers of 512, 187 frames": lambda: run(y[:, :187].transpose(0, 1)),
            "Snake, 64 channels, 16000 samples": lambda: snake(x, torch.empty_like(x)),
        }

    both = [functions(dtype) for dtype in (torch.float32, torch.bfloat16)]
    with torch.inference_mode():
        pairs = zip(*map(dict.values, both), strict=True)
        times = best_times([f for pair in pairs for f in pair], 9, _clock())
    rows = [
        [name, f"{1e3 * a:.2f}", f"{1e3 * b:.2f}", f"x{a / b:.1f}"]
        for name, a, b in zip(both[0], times[::2], times[1::2], strict=True)
    ]
    head = ["part", "float32, ms", "bf16, ms", "ratio"]
    return "\n".join(markdown_table(head, rows, padded=True))


def clips_of(model: BSCodec, most: int | None) -> list[np.ndarray]:
    """The demonstration's clips, or the first of them, at the model's rate: (T,) float32 each."""
    audios = []
    for clip in find_clips()[:most]:
        with AudioReader(clip.path) as reader:
            mix = ChannelMix(MEAN, reader.num_channels, reader.path)
            audios.append(np.concatenate(list(reader.mixed_blocks(model.sampling_rate, mix))))
    return audios


def quality_table(model: BSCodec, audios: Sequence[np.ndarray]) -> str:
    """Codes that differ, and the mean distances of what each precision has coded and decoded."""
    coder = Streamed(model)
    codes, decoded = {}, {}
    for precision in PRECISIONS:
        with in_precision(model, precision):
            codes[precision] = [coder.encode([audio]) for audio in audios]
            decoded[precision] = [
                np.concatenate(list(coder.decode(c)))[: len(audio)]
                for audio, c in zip(audios, codes[precision], strict=True)
            ]
    pairs = list(zip(codes[FLOAT32], codes[BF16], strict=True))
    differ = np.concatenate([(a != b).ravel() for a, b in pairs]).mean()
    rows = []
    for precision in PRECISIONS:
        cells = [
            _mean_distance(kind, audios, decoded[precision])
            for kind in (MelDistance, STFTDistance)
        ]
        rows.append([precision, f"{differ:.2%}" if precision == BF16 else "-", *cells])
    head = ["bscodec-mini, demo clips", "codes that differ", "mel", "STFT"]
    return "\n".join(markdown_table(head, rows, padded=True))


def _mean_distance(kind, audios: Sequence[np.ndarray], decoded: Sequence[np.ndarray]) -> str:
    try:
        metric = kind()
    except UnavailableError:
        return "-"
    return f"{np.mean([metric(a, d) for a, d in zip(audios, decoded, strict=True)]):.4f}"


def report(conf: Path, seconds: float, repeats: int, most_clips: int | None = None) -> str:
    """Both tables and the notes."""
    models = {"BSCodec 3-band SimVQ": published(conf / THREE_BANDS), "bscodec-mini": packaged()}
    rows = [
        row.cells()
        for name, model in models.items()
        for row in speed_rows(name, model, seconds, repeats)
    ]
    head = ["model", "direction", *PRECISIONS, "ratio", "error"]
    mini = models["bscodec-mini"]
    return "\n\n".join(
        [
            f"threads: {torch.get_num_threads()}, {seconds:g} s of audio, best of {repeats} runs",
            "\n".join(markdown_table(head, rows, num_names=2, padded=True)),
            NOTES,
            parts_table(),
            quality_table(mini, clips_of(mini, most_clips)),
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Print the tables; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--conf", type=Path, default=Path("conf"), help="folder of the configs")
    parser.add_argument("--threads", type=int, default=1, help="that torch may use (default: 1)")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each (default: 5)")
    parser.add_argument("--quick", action="store_true", help="short, to see that all of it runs")
    options = parser.parse_args(arguments)
    if not has_bf16_units(torch.device("cpu")):
        print("this processor has no units for bfloat16: nothing to compare", file=sys.stderr)
        return 1
    warnings.simplefilter("ignore")
    torch.set_num_threads(options.threads)
    try:
        print(report(options.conf, *((1, 1, 1) if options.quick else (10, options.repeats))))
    except (ValueError, OSError) as error:
        print(f"precision: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
