"""``bscodec decode``: ``.bsc`` files to audio files."""

import argparse
import re
from collections.abc import Callable

from espnet2.gan_codec.bscodec.cli.encode import add_common_arguments, load_codec
from espnet2.gan_codec.bscodec.cli.jobs import (
    Job,
    list_jobs,
    older_than_input,
    print_note,
    run_job_list,
)
from espnet2.gan_codec.bscodec.cli.standard_streams import StandardStreams, standard_streams

HELP = "turn .bsc files into audio files"
DESCRIPTION = """
Turn .bsc files into audio files, exactly as long as what was encoded and with the channels that
were kept. Without --model the model is the one that a file names, if it is one that 'bscodec
models' lists. IN and OUT may be - for standard input and output, which is then a .wav file.
"""
EPILOG = """
A single file goes beside its input as .wav where -o is not given. Several files, or folders with
all that is below them, go into the folder OUT under their stems. A file that fails is named and
the others are made all the same; the exit status is 1 then. In a second run what is finished is
skipped; what is there but does not belong to this run (older than its input, of another length,
rate or number of channels) is an error for that file. --force makes everything again; an input is
never overwritten.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs and options."""
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help=".bsc files, folders with .bsc files, or -"
    )
    add_common_arguments(
        parser,
        "the .wav or .flac file to write, -, or a folder, for .wav files (default: beside a "
        "single input)",
    )
    parser.add_argument(
        "--rate",
        type=_rate,
        metavar="HZ",
        help="resample to this rate, or with 'original' to the one before encoding, where the "
        "file keeps it ('encode --no-keep-rate' leaves it out) (default: the model's)",
    )
    parser.add_argument(
        "--float",
        action="store_true",
        dest="float32",
        help="write 32-bit floats, which keep samples beyond full scale, not 16-bit integers",
    )


def run(args: argparse.Namespace) -> int:
    """Decode all inputs; return the exit status."""
    with standard_streams(args.inputs, args.output, ".wav") as streams:
        return _run(args, streams)


def _run(args: argparse.Namespace, streams: StandardStreams) -> int:
    job_list = list_jobs(streams.inputs, streams.output, [".bsc"], [".wav", ".flac"])

    from espnet2.gan_codec.bscodec.format.audio import AudioError, AudioReader
    from espnet2.gan_codec.bscodec.format.bitstream import BscHeader, BscReader
    from espnet2.gan_codec.bscodec.format.signals import playback

    codec_of = _Codecs(args.model, args.device, args.precision)

    def read_header(job: Job) -> BscHeader:
        with BscReader(job.source) as reader:
            return reader.header

    def make(job: Job, progress: Callable[[float], object]) -> str:
        header = read_header(job)
        codec = codec_of(header.model, str(job.source))
        written = codec.decode_file(
            job.source, job.target, args.bands, args.max_hz, args.float32, progress, args.rate
        )
        if written.num_clipped and not args.float32:
            target = streams.named(str(job.target))
            print_note(
                f"{target}: {written.num_clipped} samples clipped at full scale "
                f"(peak {written.peak:.2f}); --float keeps them"
            )
        return f"{job.source} -> {job.target}: {header.duration:.2f} s"

    def problem_with(job: Job) -> str | None:
        header = read_header(job)
        try:
            with AudioReader(job.target) as reader:
                found = (reader.sampling_rate, reader.num_samples)
                channels = reader.num_channels
        except AudioError:
            return "is no finished audio file"
        if found != playback(header, args.rate):
            return "of another length or rate"
        if channels != header.num_channels:
            return "with another number of channels"
        return "older than its input" if older_than_input(job) else None

    return run_job_list(
        job_list, make, problem_with, lambda job: read_header(job).duration, args.force, streams
    )


def _rate(text: str) -> int | str:
    if text == "original":
        return text
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text}: expected a number of Hz, or original")
    return int(text)


class _Codecs:
    """The codec for a file: of ``--model`` if that was given, else the one its header names.

    Only models that we know by name are taken from a header, so that a file cannot have
    anything loaded of its own choice.
    """

    def __init__(self, name: str | None, device: str, precision: str | None) -> None:
        self.device, self.precision = device, precision
        self.known: dict = {}
        self.name = name
        if name is not None:
            self.load(name)

    def __call__(self, tag: str, path: str):
        from espnet2.gan_codec.bscodec.hub.error import ModelError
        from espnet2.gan_codec.bscodec.hub.resolver import PUBLISHED_MODELS, packaged_models

        if self.name is None and tag not in (*packaged_models(), *PUBLISHED_MODELS):
            raise ModelError(f"{path}: made by the model '{tag}': give that with --model")
        return self.load(self.name or tag)

    def load(self, name: str):
        """Load a model once; a model that could not be had is not tried again."""
        from espnet2.gan_codec.bscodec.hub.error import ModelError

        if name not in self.known:
            try:
                self.known[name] = load_codec(name, self.device, self.precision)
            except ModelError as error:
                self.known[name] = error
        if isinstance(self.known[name], ModelError):
            raise self.known[name]
        return self.known[name]
