#!/usr/bin/env python3
"""Print the tables of docs/small_scale_study.md from what small_scale_study.sh has made.

study_table.py exp/small_scale_study
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from corpus_sets import run_script
from study_runs import DOMAINS, NAMES, Run, Scores, find_runs

from espnet2.gan_codec.scoring.markdown import markdown_table

METRICS = {"mel": 3, "STFT": 3, "PESQ": 3, "STOI": 3, "ViSQOL": 3}  # digits after the point
RISING = ("PESQ", "STOI", "ViSQOL")


def columns(scores: dict[str, Scores]) -> list[tuple[str, str]]:
    """(domain, metric) of all that was scored."""
    return [(d, m) for d in DOMAINS for m in METRICS if m in scores[d].metrics]


def column_name(domain: str, metric: str) -> str:
    return f"{domain} {metric} {'↑' if metric in RISING else '↓'}"


def label(system: str) -> str:
    return NAMES.get(system, system)


def systems_table(runs: dict[str, list[Run]]) -> Iterator[tuple]:
    """What was trained: sizes, bits, updates."""
    yield (
        "system",
        "seeds",
        "trained numbers",
        "codebooks",
        "bit/frame",
        "kbit/s",
        "updates",
        "valid",
    )
    for system, ours in runs.items():
        model = ours[0].build()
        quantizer = model.generator.quantizer
        trained = sum(p.numel() for p in model.generator.parameters())
        books = [b for n, b in quantizer.named_buffers() if n.endswith(("embed", "codebook"))]
        bits = sum(math.log2(size) for size in model.codebook_sizes)
        results = [run.results for run in ours]
        yield (
            label(system),
            ", ".join(str(run.seed) for run in ours),
            trained,
            " + ".join(f"{len(b)} x {b.shape[1]}" for b in books),
            f"{bits:g}",
            f"{bits * model.sampling_rate / model.hop_length / 1000:g}",
            ", ".join(str(updates) for updates, _ in results),
            ", ".join(f"{loss:.3f}" for _, loss in results),
        )


def interval(values: Sequence[float]) -> tuple[float, float, float]:
    from espnet2.gan_codec.scoring.statistics import estimate

    found = estimate(values, seed=0)
    return found.mean, found.low, found.high


def scores_table(runs: dict[str, list[Run]], scores: dict[str, Scores]) -> Iterator[tuple]:
    """Means over clips and seeds, with the interval over clips."""
    places = columns(scores)
    yield "system", *(column_name(*place) for place in places)
    for system, ours in runs.items():
        cells = []
        for domain, metric in places:
            digits = METRICS[metric]
            mean, low, high = interval(list(scores[domain].by_clip(ours, metric).values()))
            cells.append(f"{mean:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})")
        yield label(system), *cells


def seeds_table(runs: dict[str, list[Run]], scores: dict[str, Scores]) -> Iterator[tuple]:
    """The mean over clips of every seed."""
    places = columns(scores)
    yield "system, seed", *(column_name(*place) for place in places)
    for system, ours in runs.items():
        for run in ours:
            cells = []
            for domain, metric in places:
                mean, *_ = interval(list(scores[domain].by_clip([run], metric).values()))
                cells.append(f"{mean:.{METRICS[metric]}f}")
            yield f"{label(system)}, {run.seed}", *cells


def differences_table(runs: dict[str, list[Run]], scores: dict[str, Scores]) -> Iterator[tuple]:
    """Every system minus the first one, paired by clip."""
    base, *others = runs
    places = columns(scores)
    yield f"minus {label(base)}", *(column_name(*place) for place in places)
    for system in others:
        cells = []
        for domain, metric in places:
            digits = METRICS[metric]
            zero, ours = (scores[domain].by_clip(runs[s], metric) for s in (base, system))
            gaps = [value - zero[clip] for clip, value in ours.items() if clip in zero]
            mean, low, high = interval(gaps)
            cells.append(f"{mean:+.{digits}f} ({low:+.{digits}f} to {high:+.{digits}f})")
        yield label(system), *cells


def codebooks_table(runs: dict[str, list[Run]], scores: dict[str, Scores]) -> Iterator[tuple]:
    """Share of codes in use on the test clips, and perplexity, of every stream."""
    yield "system", "stream", "codes", *DOMAINS
    for system, ours in runs.items():
        for stream, size in enumerate(ours[0].build().codebook_sizes):
            cells = []
            for domain in DOMAINS:
                books = [scores[domain].codebooks(run)[stream] for run in ours]
                usage = np.mean([book["usage"] for book in books])
                perplexity = np.mean([book["perplexity"] for book in books])
                cells.append(f"{100 * usage:.0f} %, {perplexity:.0f}")
            yield label(system), stream + 1, size, *cells


def print_tables(args: argparse.Namespace) -> None:
    """Print the tables as Markdown."""
    runs = find_runs(args.folder)
    scores = {domain: Scores(args.folder / "score" / domain) for domain in DOMAINS}
    tables = {
        "Systems": systems_table(runs),
        "Scores": scores_table(runs, scores),
        "Seeds": seeds_table(runs, scores),
        "Differences": differences_table(runs, scores),
        "Codebooks": codebooks_table(runs, scores),
    }
    for title, (head, *rows) in tables.items():
        print(f"### {title}\n\n" + "\n".join(markdown_table(head, rows)) + "\n")


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="--outdir of small_scale_study.sh")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Print the tables; returns the exit status."""
    return run_script(print_tables, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
