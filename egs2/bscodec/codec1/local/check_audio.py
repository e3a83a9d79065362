#!/usr/bin/env python3
"""Look at the audio of a set before it is decoded: its rate must be the model's.

    check_audio.py --config exp/codec_x/config.yaml dump/raw/test_x/wav.scp OUT

ESPnet's inference takes samples at any rate for samples at the model's, and would play them wrong;
so a single file of another rate, or with more than one channel, is refused. Missing and unreadable
files are skipped: listed in OUT/skipped.tsv, with a count. What can be decoded goes to OUT/ref.scp
and, with the lengths found, to OUT/utt2num_samples.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import yaml
from corpus_audio import SAMPLING_RATE
from corpus_sets import CorpusError, run_script, write_table, write_text
from scp import is_pipe, open_audio, read_scp
from tqdm import tqdm


def model_rate(config: Path) -> int:
    """The sampling rate (Hz) of a training config."""
    try:
        conf = yaml.safe_load(config.read_text(encoding="utf-8"))
        return int((conf.get("codec_conf") or {}).get("sampling_rate", SAMPLING_RATE))
    except (yaml.YAMLError, AttributeError, TypeError, ValueError):
        raise CorpusError(f"{config}: no training config") from None


def probe(entry: str) -> tuple[int, int, int]:
    """Rate (Hz), channels and frames of an entry of wav.scp; ValueError: there are none."""
    if is_pipe(entry):
        raise ValueError("a command, not a file: format the set first")
    with open_audio(entry) as file:
        if not file.frames:
            raise ValueError("no samples")
        return file.samplerate, file.channels, file.frames


def check(args: argparse.Namespace) -> None:
    """Write the lists, or raise CorpusError for a wrong rate."""
    rate = model_rate(args.config)
    good, wrong, skipped = {}, [], []
    wavs = read_scp(args.wav_scp)
    for utt, entry in tqdm(wavs.items(), f"check {args.wav_scp.parent.name}", disable=None):
        try:
            found, channels, frames = probe(entry)
        except ValueError as error:
            skipped.append((utt, entry, str(error)))
            continue
        if (found, channels) != (rate, 1):
            wrong.append(f"{entry} has {found} Hz, {channels} channel(s)")
        good[utt] = frames
    if wrong:
        more = f"; so have {len(wrong) - 1} more files" if len(wrong) > 1 else ""
        raise CorpusError(
            f"{args.wav_scp}: {wrong[0]}, the model wants {rate} Hz, mono{more}; "
            "stage 2 makes them so"
        )
    write_table(args.out / "skipped.tsv", ("utt", "path", "reason"), skipped)
    if skipped:
        print(f"{args.wav_scp}: skipped {len(skipped)}; listed in {args.out / 'skipped.tsv'}")
    if not good:
        raise CorpusError(f"{args.wav_scp}: no audio that could be decoded; first: {skipped[:1]}")
    write_text(args.out / "utt2num_samples", [f"{utt} {n}" for utt, n in good.items()])
    write_text(args.out / "ref.scp", [f"{utt} {wavs[utt]}" for utt in good])


def get_parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wav_scp", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--config", type=Path, required=True)
    return parser


def main(argv: list[str] | None = None) -> int:
    """Check one set; returns the exit status."""
    return run_script(check, get_parser().parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
