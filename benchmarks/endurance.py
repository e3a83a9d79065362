"""``python -m benchmarks.endurance``: memory and open files over thousands of files and hours.

Each row of the table is a run of a command in processes of its own, which are looked at from
outside, several times a second.
"""

from __future__ import annotations

import argparse
import filecmp
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from benchmarks import memory
from espnet2.gan_codec.bscodec.demo.clips import find_clips
from espnet2.gan_codec.bscodec.format.audio import AudioReader
from espnet2.gan_codec.scoring.markdown import markdown_table

RATE = 24000
LOOK_SECONDS = 0.1
MOMENTS = {"start": 0.1, "middle": 0.5, "end": 0.95}  # of the time that a run takes
DESCRIPTION = """
Encode, decode and tokenize many files in one run each, a file of hours, and in several processes
at once; check that all is there and the same, and print memory and open files of the runs.
"""


@dataclass(frozen=True)
class Look:
    """What the processes of a run were at one time, the largest of each."""

    seconds: float
    resident: int
    peak: int
    open_files: int


@dataclass(frozen=True)
class Row:
    """One run, or several at once, and the looks at all of their processes."""

    name: str
    looks: list[Look]

    def at(self, moment: float) -> Look:
        """The look nearest to this part of the run."""
        wanted = moment * self.looks[-1].seconds
        return min(self.looks, key=lambda look: abs(look.seconds - wanted))


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(prog="endurance", description=DESCRIPTION)
    parser.add_argument("--files", type=int, default=2000, metavar="N", help="(default: 2000)")
    parser.add_argument("--hours", type=float, default=3, metavar="H", help="(default: 3)")
    parser.add_argument("--processes", type=int, default=8, metavar="P", help="(default: 8)")
    parser.add_argument("--model", default="bscodec-mini", help="(default: bscodec-mini)")
    parser.add_argument("--work", metavar="DIR", help="where files are made (default: TMPDIR)")
    return parser


def main(cmd: list[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    args = get_parser().parse_args(cmd)
    with tempfile.TemporaryDirectory(dir=args.work, prefix="endurance-") as folder:
        rows = endure(Path(folder), args.files, args.hours, args.processes, args.model)
    print(table(rows))
    return 0


def endure(work: Path, files: int, hours: float, processes: int, model: str) -> list[Row]:
    """Make all runs below ``work``. Raises RuntimeError: a run failed, or made something else."""
    many, long = f"{files} files", f"{hours:g} h"
    make_clips(work / "in", files)
    make_long(work / "long.flac", hours)
    options = ["--model", model]
    rows = []

    def run(name: str, *commands: list[str]) -> None:
        rows.append(watch(name, [[*command, *options] for command in commands]))
        print(" | ".join(cells(rows[-1])), file=sys.stderr, flush=True)

    def paths(*names: str) -> list[str]:
        return [str(work / name) for name in names]

    a, b, one = paths("in", "bsc", "tokens")
    run(f"encode, {many}", ["encode", a, "-o", b])
    run(f"decode, {many}", ["decode", b, "-o", str(work / "wav")])
    run(f"tokenize, {many}", ["tokenize", a, "-o", one, "--nj", "1"])
    a, b, c, folder = paths("long.flac", "long.bsc", "long.wav", "long_tokens")
    run(f"encode, {long}", ["encode", a, "-o", b])
    run(f"decode, {long}", ["decode", b, "-o", c])
    (work / "long.scp").write_text(f"long {a}\n")
    run(f"tokenize, {long}", ["tokenize", str(work / "long.scp"), "-o", folder, "--nj", "1"])
    _check(soundfile.info(c).frames == soundfile.info(a).frames, c)

    shares = [sorted(map(str, (work / "in").iterdir()))[i::processes] for i in range(processes)]
    run(
        f"encode, {processes} runs at once",
        *(["encode", *share, "-o", str(work / "bsc_shared")] for share in shares),
    )
    _check_same(work / "bsc", work / "bsc_shared", files)
    shares = [sorted(map(str, (work / "bsc").iterdir()))[i::processes] for i in range(processes)]
    run(
        f"decode, {processes} runs at once",
        *(["decode", *share, "-o", str(work / "wav_shared")] for share in shares),
    )
    _check_same(work / "wav", work / "wav_shared", files)
    many_processes = ["--nj", str(processes)]
    run(
        f"tokenize, {processes} processes",
        ["tokenize", str(work / "in"), "-o", str(work / "tokens_shared"), *many_processes],
    )
    _check_same(work / "tokens" / "shards", work / "tokens_shared" / "shards")
    return rows


def make_clips(folder: Path, count: int) -> None:
    """Write ``count`` files of one to three seconds, cut from the demonstration's clips."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    clips = [soundfile.read(clip.path, dtype="int16") for clip in find_clips()]
    for index in range(count):
        audio, rate = clips[index % len(clips)]
        length = min(len(audio), int(rng.uniform(1, 3) * rate))
        start = int(rng.integers(0, len(audio) - length + 1))
        soundfile.write(folder / f"{index:05d}.flac", audio[start : start + length], rate)


def make_long(path: Path, hours: float) -> None:
    """Write a file of the demonstration's clips, again and again."""
    clips = []
    for clip in find_clips():
        with AudioReader(clip.path) as reader:
            clips.extend(reader.mono_blocks(RATE))
    audio = np.concatenate(clips)
    left = int(hours * 3600 * RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        while left:
            file.write(audio[:left])
            left -= len(audio[:left])


def watch(name: str, commands: Sequence[list[str]]) -> Row:
    """Run commands at once and look at their processes until all have ended."""
    program = [sys.executable, "-m", "espnet2.bin.bscodec"]
    with tempfile.TemporaryFile() as errors:
        running = [
            subprocess.Popen([*program, *command], stdout=subprocess.DEVNULL, stderr=errors)
            for command in commands
        ]
        begun, looks = time.monotonic(), []
        while any(process.poll() is None for process in running):
            ids = [process.pid for process in running if process.poll() is None]
            ids += [child for process in ids for child in memory.children(process)]
            looks.append(
                Look(
                    time.monotonic() - begun,
                    _largest(memory.resident, ids),
                    _largest(memory.peak, ids),
                    _largest(memory.open_files, ids),
                )
            )
            time.sleep(LOOK_SECONDS)
        errors.seek(0)
        failed = [process.returncode for process in running if process.returncode]
        if failed or not looks:
            raise RuntimeError(f"{name}: status {failed}: {errors.read()[-1000:].decode()}")
    return Row(name, looks)


def _largest(count: Callable[[int], int | None], processes: list[int]) -> int:
    return max((count(process) or 0 for process in processes), default=0)


def _check(condition: bool, path: str) -> None:
    if not condition:
        raise RuntimeError(f"{path} is not what it should be")


def _check_same(one: Path, other: Path, count: int | None = None) -> None:
    names = sorted(os.listdir(one))
    _check(names == sorted(os.listdir(other)), str(other))
    _check(count in (None, len(names)), str(one))
    _, mismatch, errors = filecmp.cmpfiles(one, other, names, shallow=False)
    _check(not mismatch and not errors, str(other))


def table(rows: Sequence[Row]) -> str:
    """Return the table, as Markdown."""
    head = ["run", "s", "peak MB"]
    head += [f"MB, {moment}" for moment in MOMENTS]
    head += [f"open files, {moment}" for moment in MOMENTS]
    return "\n".join(markdown_table(head, map(cells, rows), padded=True))


def cells(row: Row) -> list[str]:
    """Return the row's cells of the table."""
    peak = max(look.peak for look in row.looks)
    looks = [row.at(moment) for moment in MOMENTS.values()]
    return [
        row.name,
        f"{row.looks[-1].seconds:.0f}",
        f"{peak / 1e6:.0f}",
        *(f"{look.resident / 1e6:.0f}" for look in looks),
        *(str(look.open_files) for look in looks),
    ]


if __name__ == "__main__":
    sys.exit(main())
