"""``bscodec decode``: ``.bsc`` files to audio files."""

import argparse
from collections.abc import Callable

from espnet2.gan_codec.bscodec.cli.encode import add_common_arguments, load_codec
from espnet2.gan_codec.bscodec.cli.jobs import (
    Job,
    list_jobs,
    older_than_input,
    print_note,
    run_job_list,
)

HELP = "turn .bsc files into audio files"
DESCRIPTION = """
Turn .bsc files into mono audio files, exactly as long as what was encoded. Without --model the
model is the one that a file names, if it is one that 'bscodec models' lists.
"""
EPILOG = """
Several files, or folders with all that is below them, go into the folder OUT under their stems. A
file that fails is named and the others are made all the same; the exit status is 1 then. In a
second run what is finished is skipped; what is there but does not belong to this run (older than
its input, of another length) is an error for that file. --force makes everything again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs and options."""
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help=".bsc files, or folders with .bsc files"
    )
    add_common_arguments(parser, "the .wav or .flac file to write, or a folder (for .wav files)")
    parser.add_argument(
        "--float",
        action="store_true",
        dest="float32",
        help="write 32-bit floats, which keep samples beyond full scale, not 16-bit integers",
    )


def run(args: argparse.Namespace) -> int:
    """Decode all inputs; return the exit status."""
    job_list = list_jobs(args.inputs, args.output, [".bsc"], [".wav", ".flac"])

    from espnet2.gan_codec.bscodec.format.audio import AudioError, AudioReader
    from espnet2.gan_codec.bscodec.format.bitstream import BscHeader, BscReader

    codec_of = _Codecs(args.model, args.device)

    def read_header(job: Job) -> BscHeader:
        with BscReader(job.source) as reader:
            return reader.header

    def make(job: Job, progress: Callable[[float], object]) -> str:
        header = read_header(job)
        codec = codec_of(header.model, str(job.source))
        written = codec.decode_file(
            job.source, job.target, args.bands, args.max_hz, args.float32, progress
        )
        if written.num_clipped and not args.float32:
            print_note(
                f"{job.target}: {written.num_clipped} samples clipped at full scale "
                f"(peak {written.peak:.2f}); --float keeps them"
            )
        return f"{job.source} -> {job.target}: {header.duration:.2f} s"

    def problem_with(job: Job) -> str | None:
        header = read_header(job)
        try:
            with AudioReader(job.target) as reader:
                found = (reader.num_samples, reader.sampling_rate)
        except AudioError:
            return "is no finished audio file"
        if found != (header.num_samples, header.sampling_rate):
            return "of another length or rate"
        return "older than its input" if older_than_input(job) else None

    return run_job_list(
        job_list, make, problem_with, lambda job: read_header(job).duration, args.force
    )


class _Codecs:
    """The codec for a file: of ``--model`` if that was given, else the one its header names.

    Only models that we know by name are taken from a header, so that a file cannot have
    anything loaded of its own choice.
    """

    def __init__(self, name: str | None, device: str) -> None:
        self.device = device
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
                self.known[name] = load_codec(name, self.device)
            except ModelError as error:
                self.known[name] = error
        if isinstance(self.known[name], ModelError):
            raise self.known[name]
        return self.known[name]
