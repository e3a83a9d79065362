"""``make bench``: measure, print the tables, write results.json, table.md and cost.png."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from espnet2.gan_codec.bscodec.inference.cpus import available_cpus

DESCRIPTION = """
Measure our codec beside a naive computation of the same models and other codecs: speed, memory,
and what both are at growing lengths. Run it on a machine that does nothing else.
"""


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="bench", description=DESCRIPTION)
    parser.add_argument(
        "--out", default="bench", metavar="DIR", help="folder for what is made (default: bench)"
    )
    parser.add_argument(
        "--conf", default="conf", metavar="DIR", help="training configs (default: conf)"
    )
    parser.add_argument(
        "--threads",
        type=int,
        default=available_cpus(),
        metavar="N",
        help="that torch may use (default: one a CPU)",
    )
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument(
        "--quick", action="store_true", help="short clips once each: to see that all of it runs"
    )
    amount.add_argument("--hour", action="store_true", help="an hour of audio too")
    parser.add_argument(
        "--training", action="store_true", help="a training step of the 3-band model too"
    )
    parser.add_argument(
        "--only",
        nargs="+",
        default=[],
        metavar="WORD",
        help="the systems whose names hold one of these words",
    )
    parser.add_argument(
        "--paste",
        metavar="ROOT",
        help="also put the results into ROOT/README.md and ROOT/docs/benchmark.md",
    )
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    args = get_parser().parse_args(cmd)
    try:
        return run(args)
    except (ValueError, OSError) as error:
        from espnet2.gan_codec.bscodec.cli.jobs import one_line

        print(f"bench: error: {one_line(error)}", file=sys.stderr)
        return 1


def run(args: argparse.Namespace) -> int:
    """Measure and write."""
    from benchmarks.plot import plot
    from benchmarks.run import QUICK, Settings, benchmark
    from benchmarks.systems import catalogue
    from benchmarks.table import report
    from espnet2.gan_codec.bscodec.format.atomic import atomic_write

    if args.threads < 1:
        raise ValueError(f"--threads {args.threads}: expected 1 or more")
    systems = [
        system
        for system in catalogue(Path(args.conf))
        if not args.only or any(word in system.name for word in args.only)
    ]
    if not systems:
        raise ValueError(f"--only {' '.join(args.only)}: no system has such a name")
    settings = QUICK if args.quick else Settings().with_an_hour() if args.hour else Settings()
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)

    start = time.perf_counter()
    results = benchmark(systems, settings, args.threads, lambda line: _say(line, start))
    if args.training:
        _say("training step", start)
        results.training = _training(Path(args.conf), args.threads)
    with atomic_write(out / "results.json") as temporary:
        temporary.write_text(results.to_json(), encoding="utf-8")
    text = report(results)
    with atomic_write(out / "table.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    plot(results, out / "cost.png")
    print(text)
    if args.paste:
        _paste(results, text, Path(args.paste))
    return 0


def _training(conf: Path, threads: int) -> str:
    import torch

    from benchmarks import training_step
    from benchmarks.systems import THREE_BANDS
    from espnet2.gan_codec.bscodec.hub.config_file import read_codec_conf

    torch.set_num_threads(threads)
    return training_step.report(read_codec_conf(conf / THREE_BANDS), (2, 24000), repeats=2)


def _paste(results, text: str, root: Path) -> None:
    from benchmarks.paste import paste
    from benchmarks.plot import plot
    from benchmarks.table import summary

    picture = "![Time and memory against the length of the audio](benchmark.png)"
    paste(root / "docs" / "benchmark.md", f"{text}\n{picture}")
    plot(results, root / "docs" / "benchmark.png")
    paste(root / "README.md", summary(results))


def _say(line: str, start: float) -> None:
    print(f"[{time.perf_counter() - start:5.0f} s] {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
