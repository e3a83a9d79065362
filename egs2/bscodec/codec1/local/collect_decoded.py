#!/usr/bin/env python3
"""Gather what the jobs of gan_codec_inference decoded, cut to the lengths of the inputs.

    collect_decoded.py DECODED

DECODED holds ref.scp and utt2num_samples (see check_audio.py) and, of each job, log/output.N/ with
wav/ and codec/. Whole results are moved to DECODED/wav and DECODED/codec; a file cut off by a kill
is left where it is. Utterances that have no result go to DECODED/pending, a line each. When that
is empty, wav.scp and codec.scp are written. May be run at any time, and again.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import soundfile as sf
from corpus_sets import CorpusError, write_text
from scp import read_counts, read_scp
from tqdm import tqdm

from espnet2.gan_codec.bscodec.format.checked import read_array


def take(utt: str, length: int, job: Path, folder: Path) -> bool:
    """Move one result into place; False when it is not there or not whole.

    ESPnet writes the audio first, so readable codes mean that both are there.
    """
    wav, codes = job / "wav" / f"{utt}.wav", job / "codec" / f"{utt}.npy"
    if not (wav.is_file() and codes.is_file()):
        return False
    try:
        with codes.open("rb") as file:
            read_array(file)
        samples, rate = sf.read(str(wav), dtype="int16")
    except (ValueError, OSError, sf.SoundFileError):
        return False
    if len(samples) < length:
        return False
    part = folder / "wav" / f".{utt}.part"
    sf.write(str(part), samples[:length], rate, format="WAV", subtype="PCM_16")
    os.replace(part, folder / "wav" / f"{utt}.wav")
    os.replace(codes, folder / "codec" / f"{utt}.npy")  # last: it marks both as complete
    wav.unlink()
    return True


def collect(folder: Path) -> None:
    """Move all that is there and list the rest."""
    lengths = read_counts(folder / "utt2num_samples")
    inputs = read_scp(folder / "ref.scp")
    for name in ("wav", "codec"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    done = {path.stem for path in (folder / "codec").glob("*.npy")}
    jobs = sorted((folder / "log").glob("output.*"))
    found = {path.stem: job for job in jobs for path in (job / "codec").glob("*.npy")}
    for utt in tqdm(sorted(found), f"collect {folder.name}", disable=None):
        if utt in lengths and utt not in done and take(utt, lengths[utt], found[utt], folder):
            done.add(utt)
    pending = [utt for utt in inputs if utt not in done]
    write_text(folder / "pending", [f"{utt} {inputs[utt]}" for utt in pending])
    if pending:
        return
    for name, suffix in (("codec", "npy"), ("wav", "wav")):
        lines = [f"{utt} {folder / name / f'{utt}.{suffix}'}" for utt in inputs]
        write_text(folder / f"{name}.scp", lines)
    print(f"{folder}: {len(inputs)} utterances decoded")


def main(argv: list[str] | None = None) -> int:
    """Collect one set; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    args = parser.parse_args(argv)
    try:
        collect(args.folder)
    except (CorpusError, OSError) as error:
        print(f"collect_decoded.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
