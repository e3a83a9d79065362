"""One command for a GPU: coding, tokens, CUDA graphs and a training step, in eight minutes.

    python -m benchmarks.gpu                     # on a machine with a GPU
    python -m benchmarks.gpu --device cpu --quick  # that all of it runs

It needs nothing but the checkout and its environment: models of published size have random
weights, audio is noise.  What there is no time for is left out, and the table says so.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import platform
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks import gpu_parts, training_step
from benchmarks.gpu_parts import NAIVE, TF32, Measured
from benchmarks.systems import FIVE_BANDS, THREE_BANDS, packaged, published
from espnet2.gan_codec.bscodec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.hub.config_file import read_codec_conf
from espnet2.gan_codec.bscodec.model.config import BF16, FLOAT32
from espnet2.gan_codec.scoring.markdown import markdown_table

NO_TIME = "no time left"
MINI = "train_bscodec_mini.yaml"
HEAD = ["model", "what", "precision", "batch", "hours/hour", "peak GB", "codes unlike the CPU's"]
NOTES = """\
hours/hour: hours of audio in an hour, for training steps too. peak GB: of tensors, with the model.
float32 is without TF32; bf16 has bfloat16 products. naive: the usual computation of the same
model, in float32. tokenize: batches of 120 s of audio, with WAV files read or audio at hand.
Latents of the random weights of 3-band and 5-band vary so little beside their size that rounding
changes far more codes than of mini, which is trained."""


@dataclass(frozen=True)
class Scope:
    """How much is measured.

    Attributes:
        seconds: of audio of a signal.
        batches: sizes that are tried.
        files: WAV files that are read for ``tokenize``.
        training: batch and samples of a training step.
        repeats: of that step, of which the shortest counts.
        least: seconds that a measurement should take at least, by repeating it.
    """

    seconds: float = 10.0
    batches: tuple[int, ...] = (1, 16, 64)
    files: int = 384
    training: tuple[int, int] = (16, 24000)
    repeats: int = 2
    least: float = 1.0


QUICK = Scope(0.5, (1, 2), files=3, training=(1, 6000), repeats=1, least=0.0)


class Budget:
    """What is measured while there is time, and what was left out.

    Args:
        minutes: after which nothing new is begun.
        log: receives a line for each step.
    """

    def __init__(self, minutes: float, log: Callable[[str], object]) -> None:
        self.end, self.log = time.monotonic() + 60 * minutes, log
        self.rows: list[Measured] = []
        self.left_out: dict[str, str] = {}

    def is_over(self) -> bool:
        """Whether nothing new should be begun."""
        return time.monotonic() > self.end

    def measure(self, name: str, function: Callable[[], list[Measured]]) -> None:
        """Add what ``function`` measures, unless the time is up or memory is not enough."""
        if self.is_over():
            self.left_out[name] = NO_TIME
            return
        self.log(name)
        try:
            self.rows += function()
        except (torch.OutOfMemoryError, MemoryError):
            self.left_out[name] = "not enough memory"
        except RuntimeError as error:
            self.left_out[name] = str(error).strip().partition("\n")[0][:100]
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


def benchmark(
    conf: Path, device: torch.device, scope: Scope, minutes: float, log: Callable[[str], object]
) -> dict[str, object]:
    """Measure everything; the contents of results.json.

    The training comparisons, which take a known time, come first.
    """
    budget = Budget(minutes, log)
    steps = []

    def published_step() -> list[Measured]:
        codec_conf = read_codec_conf(conf / THREE_BANDS)
        step = training_step.report(codec_conf, scope.training, scope.repeats, device.type)
        steps.append(step)
        return []

    for bf16 in (False, True):
        for graph in (False, True):
            name = f"mini, training step, {BF16 if bf16 else FLOAT32}{', graph' * graph}"
            mini = read_codec_conf(conf / MINI)
            step = functools.partial(gpu_parts.graphed_step, mini, device, scope, graph, bf16)
            budget.measure(name, step)
    budget.measure("3-band, training step", published_step)
    models = {
        "3-band": lambda: published(conf / THREE_BANDS),
        "mini": packaged,
        "5-band": lambda: published(conf / FIVE_BANDS),
    }
    for name, build in models.items():
        _measure_model(budget, name, build, device, scope)
    return {
        "device": gpu_parts.device_name(device),
        "software": f"Python {platform.python_version()}, torch {torch.__version__}",
        "scope": dataclasses.asdict(scope),
        "rows": [dataclasses.asdict(row) for row in budget.rows],
        "training_step": steps,
        "left_out": budget.left_out,
    }


def _measure_model(
    budget: Budget, name: str, build: Callable[[], BSCodec], device: torch.device, scope: Scope
) -> None:
    """What is aimed at first: tokens, then large batches, each in all precisions."""
    if budget.is_over():
        budget.left_out[name] = NO_TIME
        return
    parts = gpu_parts.Parts(name, build(), device, scope, is_random=build is not packaged)
    for precision in (BF16, TF32, FLOAT32):
        tokens = functools.partial(parts.tokens, precision)
        budget.measure(f"{name}, tokenize, {precision}", tokens)
    for batch in sorted(scope.batches, reverse=True):
        for precision in (BF16, TF32, FLOAT32, NAIVE):
            coding = functools.partial(parts.coding, precision, batch)
            budget.measure(f"{name}, batch {batch}, {precision}", coding)


def table(results: dict) -> str:
    """The results as one table, with the card's name."""
    rows = [Measured(**row).cells() for row in results["rows"]]
    seconds = results["scope"]["seconds"]
    parts = [
        f"{results['device']}; {results['software']}; signals of {seconds:g} s",
        "\n".join(markdown_table(HEAD, rows, num_names=3, padded=True)),
        NOTES,
        *(f"```\n{step}\n```" for step in results["training_step"]),
    ]
    if results["left_out"]:
        lines = [f"- {name}: {reason}" for name, reason in results["left_out"].items()]
        parts.append("Left out:\n\n" + "\n".join(lines))
    return "\n\n".join(parts)


def main(arguments: list[str] | None = None) -> int:
    """Measure, print the table, write results.json; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--quick", action="store_true", help="short, to see that all of it runs")
    parser.add_argument("--minutes", type=float, default=6.5, help="to begin measurements in")
    parser.add_argument("--conf", type=Path, default=Path("conf"), help="folder of the configs")
    parser.add_argument("--out", type=Path, default=Path("bench"), help="folder of results.json")
    options = parser.parse_args(arguments)
    if options.device == "cuda" and not torch.cuda.is_available():
        print("gpu: error: --device cuda: torch sees no GPU", file=sys.stderr)
        return 1
    warnings.simplefilter("ignore")
    scope, start = QUICK if options.quick else Scope(), time.monotonic()

    def log(line: str) -> None:
        print(f"[{time.monotonic() - start:4.0f} s] {line}", file=sys.stderr, flush=True)

    try:
        device = torch.device(options.device)
        results = benchmark(options.conf, device, scope, options.minutes, log)
        target = options.out / "gpu" / "results.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(target) as temporary:
            temporary.write_text(json.dumps(results, indent=1), encoding="utf-8")
    except (ValueError, OSError) as error:
        print(f"gpu: error: {error}", file=sys.stderr)
        return 1
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
