#!/usr/bin/env python3
"""Turn the recordings or segments of a list into 24 kHz mono 16-bit FLAC.

    format_wav_scp.py --wav_scp data/x/wav.scp [--segments data/x/segments] KEYS OUT

KEYS names the utterances to do, a line each (the rest of a line is not looked at). Files that are
24 kHz mono FLAC already are listed where they lie. A segment is named after its recording, that
file's size and time of change, and the segment: what is there already is kept, and what belongs to
another state of the recording is never taken for it. Writes wav.scp, utt2num_samples and
skipped.tsv (missing, unreadable, empty) to OUT; the audio to --audio.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from functools import partial
from pathlib import Path

import numpy as np
import soundfile as sf
from corpus_audio import SAMPLING_RATE, limit, read_mono, resample, write_flac
from corpus_sets import CorpusError, run_jobs, write_table, write_text
from scp import is_pipe, open_audio, read_scp


def read_segments(path: Path) -> dict[str, tuple[str, float, float]]:
    """Read Kaldi's segments: utterance -> recording, begin and end in seconds; end -1: to the end.

    Raises:
        CorpusError: a line of another form.
    """
    segments = {}
    for utt, rest in read_scp(path).items():
        words = rest.split()
        try:
            recording, begin, end = words[0], float(words[1]), float(words[2])
        except (IndexError, ValueError):
            raise CorpusError(
                f"{path}: {utt}: expected a recording, its begin and its end"
            ) from None
        if begin < 0 or (end >= 0 and end <= begin):
            raise CorpusError(f"{path}: {utt}: expected 0 <= begin < end, got {begin} and {end}")
        segments[utt] = recording, begin, end
    return segments


def segment_path(audio: Path, utt: str, entry: str, begin: float, end: float) -> Path:
    """Where the segment of an utterance lies, by what it is made from."""
    content = [entry, repr(begin), repr(end), str(SAMPLING_RATE)]
    if not is_pipe(entry) and Path(entry).is_file():
        state = Path(entry).stat()
        content += [str(state.st_size), str(state.st_mtime_ns)]
    digest = hashlib.sha256("\t".join(content).encode()).hexdigest()[:12]
    return audio / digest[:2] / f"{utt.replace('/', '_')}.{digest}.flac"


def is_formatted(file: sf.SoundFile) -> bool:
    """Whether a file is what we would make of it."""
    return (file.format, file.subtype, file.samplerate, file.channels) == (
        "FLAC",
        "PCM_16",
        SAMPLING_RATE,
        1,
    )


def read_segment(file: sf.SoundFile, begin: float, end: float) -> np.ndarray:
    """A segment of an open file, its channels averaged: (T,) float32 at the file's rate."""
    rate = file.samplerate
    count = -1 if end < 0 else round(end * rate) - round(begin * rate)
    return read_mono(file, min(round(begin * rate), file.frames), count)


def produce(job: tuple[str, str, float, float], audio: Path) -> tuple[str, str, int] | str:
    """Make the segment of one utterance unless it is there: (utt, path, samples) or why not."""
    utt, entry, begin, end = job
    path = segment_path(audio, utt, entry, begin, end)
    try:
        if path.is_file():
            return utt, str(path), sf.info(str(path)).frames
        with open_audio(entry) as file:
            whole = begin == 0 and end < 0 and not is_pipe(entry)
            if whole and is_formatted(file) and file.frames:
                return utt, str(Path(entry).absolute()), file.frames
            samples = read_segment(file, begin, end)
            samples = limit(resample(samples, file.samplerate))
            return utt, str(path), write_flac(path, samples)
    except ValueError as error:
        return str(error)


def list_jobs(args: argparse.Namespace) -> list[tuple[str, str, float, float]]:
    """The utterances to do: name, entry of wav.scp, begin and end in seconds."""
    recordings = read_scp(args.wav_scp)
    keys = [line.split()[0] for line in args.keys.read_text(encoding="utf-8").splitlines() if line]
    if args.segments is None:
        return [(key, recordings[key], 0.0, -1.0) for key in keys]
    segments = read_segments(args.segments)
    jobs = []
    for key in keys:
        recording, begin, end = segments[key]
        if recording not in recordings:
            raise CorpusError(
                f"{args.segments}: {key}: no recording {recording} in {args.wav_scp}"
            )
        jobs.append((key, recordings[recording], begin, end))
    return jobs


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("keys", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--wav_scp", type=Path, required=True)
    parser.add_argument("--segments", type=Path)
    parser.add_argument("--audio", type=Path, required=True, help="folder of the FLAC files")
    return parser


def main(argv: list[str] | None = None) -> int:
    """Format one list; returns the exit status."""
    args = get_parser().parse_args(argv)
    try:
        jobs = list_jobs(args)
        work = partial(produce, audio=args.audio.absolute())
        results = list(run_jobs(work, jobs, 1, f"format {args.keys.name}"))
    except (CorpusError, OSError) as error:
        print(f"format_wav_scp.py: {error}", file=sys.stderr)
        return 1
    done = [r for r in results if not isinstance(r, str)]
    skipped = [
        (job[0], job[1], r) for job, r in zip(jobs, results, strict=True) if isinstance(r, str)
    ]
    write_table(args.out / "skipped.tsv", ("utt", "path", "reason"), skipped)
    write_text(args.out / "utt2num_samples", [f"{utt} {count}" for utt, _, count in done])
    write_text(args.out / "wav.scp", [f"{utt} {path}" for utt, path, _ in done])
    return 0


if __name__ == "__main__":
    sys.exit(main())
