"""``bscodec encode``: audio files to ``.bsc`` files."""

import argparse
import os
from collections.abc import Callable

from espnet2.gan_codec.bscodec.cli.jobs import (
    Job,
    list_jobs,
    older_than_input,
    print_note,
    run_job_list,
)

HELP = "turn audio files into .bsc files"
DESCRIPTION = """
Turn audio files of any format, rate and number of channels into .bsc files. They are downmixed
and resampled to the model's rate; decoding gives exactly as many samples at that rate. What
libsndfile does not know (m4a, mp4, webm, wma) is read through ffmpeg, where that is installed.
"""
EPILOG = """
Several files, or folders with all that is below them, go into the folder OUT under their stems. A
file that fails is named and the others are made all the same; the exit status is 1 then. In a
second run what is finished is skipped; what is there but does not belong to this run (older than
its input, of another model or other bands) is an error for that file. --force makes everything
again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs, and the options that ``decode`` has as well."""
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help="audio files, or folders with audio files"
    )
    add_common_arguments(parser, "the .bsc file to write, or a folder")
    parser.add_argument(
        "--salvage",
        action="store_true",
        help="code what there is of cut and damaged files, and say what is missing",
    )
    parser.set_defaults(model="bscodec-mini")


def add_common_arguments(parser: argparse.ArgumentParser, output: str) -> None:
    """Add what ``encode`` and ``decode`` share."""
    parser.add_argument("-o", "--output", required=True, metavar="OUT", help=output)
    parser.add_argument(
        "--model",
        metavar="MODEL",
        help="a tag (see 'bscodec models'), an experiment folder, a checkpoint beside its "
        "config.yaml, or a Hugging Face name",
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--bands", type=int, metavar="N", help="only the N lowest bands")
    which.add_argument(
        "--max-hz", type=float, metavar="HZ", help="only the bands that end at or below HZ"
    )
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    parser.add_argument("--force", action="store_true", help="overwrite what is there already")


def run(args: argparse.Namespace) -> int:
    """Encode all inputs; return the exit status."""
    from espnet2.gan_codec.bscodec.format.audio import SUFFIXES, AudioReader
    from espnet2.gan_codec.bscodec.format.bitstream import BitstreamError, BscReader

    job_list = list_jobs(args.inputs, args.output, SUFFIXES, [".bsc"])

    from espnet2.gan_codec.bscodec.codec import count_bands

    codec = load_codec(args.model, args.device).drop_decoder()
    num_bands = count_bands(codec.bands, args.bands, args.max_hz)
    tell_conversion = _ConversionNote(codec.sampling_rate)

    def make(job: Job, progress: Callable[[float], object]) -> str:
        with AudioReader(job.source, args.salvage) as reader:
            tell_conversion(reader)
        problems: list[str] = []
        header = codec.encode_file(
            job.source,
            job.target,
            num_bands,
            progress=progress,
            missing=problems.append if args.salvage else None,
        )
        if problems:
            print_note(f"{job.source}: salvaged {header.duration:.2f} s: {'; '.join(problems)}")
        return (
            f"{job.source} -> {job.target}: {header.duration:.2f} s, "
            f"{header.bitrate / 1000:.2f} kbit/s, {job.target.stat().st_size} bytes"
        )

    def problem_with(job: Job) -> str | None:
        try:
            with BscReader(job.target) as reader:
                header = reader.header
        except BitstreamError:
            return "is no finished .bsc file"
        if header != codec.header(num_bands, header.num_samples):
            return "of another model or with other bands"
        return "older than its input" if older_than_input(job) else None

    def seconds(job: Job) -> float:
        with AudioReader(job.source, args.salvage) as reader:
            return reader.duration

    return run_job_list(job_list, make, problem_with, seconds, args.force)


def load_codec(name: str, device: str):
    """Load a model and print which checkpoint was taken, where the name leaves that open."""
    from espnet2.gan_codec.bscodec.codec import Codec

    codec = Codec.from_pretrained(name, device)
    if os.path.isdir(name):
        print_note(f"{name}: taking {codec.checkpoint}")
    return codec


class _ConversionNote:
    """Say once in a run that audio is resampled or downmixed."""

    def __init__(self, sampling_rate: int) -> None:
        self.sampling_rate = sampling_rate
        self.said: set[str] = set()

    def __call__(self, reader) -> None:
        changes = []
        if reader.sampling_rate != self.sampling_rate and "rate" not in self.said:
            self.said.add("rate")
            changes.append(f"resampled from {reader.sampling_rate} to {self.sampling_rate} Hz")
        if reader.num_channels > 1 and "channels" not in self.said:
            self.said.add("channels")
            changes.append(f"downmixed from {reader.num_channels} channels to one")
        if changes:
            print_note(f"{reader.path}: {' and '.join(changes)} (others like it: not said again)")
