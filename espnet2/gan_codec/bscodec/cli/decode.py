"""``bscodec decode``: ``.bsc`` files to audio files."""

import argparse
import functools
import re
from collections.abc import Callable

from espnet2.gan_codec.bscodec.cli.encode import (
    FILE_PROCESSES,
    add_common_arguments,
    load_codec,
)
from espnet2.gan_codec.bscodec.cli.file_work import (
    Progress,
    Report,
    place_of_files,
    print_notes,
    run_job_list,
)
from espnet2.gan_codec.bscodec.cli.jobs import Job, list_jobs, older_than_input, print_note
from espnet2.gan_codec.bscodec.cli.places import add_place_arguments
from espnet2.gan_codec.bscodec.cli.standard_streams import StandardStreams, standard_streams
from espnet2.gan_codec.bscodec.format.header import BscHeader

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
never overwritten. With --salvage the exit status is 3 if a file was damaged, and no other failed.
"""
SALVAGED = 3  # exit status


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
    audio = parser.add_argument_group("audio")
    audio.add_argument(
        "--rate",
        type=_rate,
        metavar="HZ",
        help="resample to this rate, or with 'original' to the one before encoding, where the "
        "file keeps it ('encode --no-keep-rate' leaves it out) (default: the model's)",
    )
    audio.add_argument(
        "--float",
        action="store_true",
        dest="float32",
        help="write 32-bit floats, which keep samples beyond full scale, not 16-bit integers",
    )
    audio.add_argument(
        "--salvage",
        action="store_true",
        help="decode what there is of cut and damaged files, with silence in the place of the "
        "blocks that are missing, and say which",
    )
    add_place_arguments(parser, FILE_PROCESSES)


def run(args: argparse.Namespace) -> int:
    """Decode all inputs; return the exit status."""
    with standard_streams(args.inputs, args.output, ".wav") as streams:
        return _run(args, streams)


def _run(args: argparse.Namespace, streams: StandardStreams) -> int:
    job_list = list_jobs(streams.inputs, streams.output, [".bsc"], [".wav", ".flac"])

    def seconds(job: Job) -> float:
        return _read_header(job, args.salvage).duration

    place = place_of_files(args, job_list)
    work = _Decoding(args, place)
    damaged = []

    def tell(job: Job, report: Report) -> None:
        print_notes(report, streams)
        damaged.extend([job] * report.damaged)

    status = run_job_list(
        *(job_list, work, tell, seconds, args.force, streams, place),
        at_once=bool(args.cluster or args.nj),
    )
    return status or (SALVAGED if damaged or work.damaged else 0)


def _read_header(job: Job, any_size: bool):
    from espnet2.gan_codec.bscodec.format.bitstream import BscReader

    with BscReader(job.source, any_size=any_size) as reader:
        return reader.header


class _Decoding:
    """How a ``.bsc`` file becomes an audio file.

    Attributes:
        damaged: a file that is there already was made of a damaged one.
    """

    def __init__(self, args: argparse.Namespace, place) -> None:
        self.args, self.damaged = args, False
        self.device = place.device if place else args.device
        here = ("cpu", None) if args.cluster else (args.device, args.precision)
        self.codec_of: _Codecs | None = _Codecs(args.model, *here)

    def __getstate__(self) -> dict:
        """Leave out the models: each process loads its own."""
        return {**self.__dict__, "codec_of": None}

    def make(self, job: Job, report: Report, progress: Progress) -> str:
        """Decode a file."""
        args = self.args

        def damaged(line: str) -> None:
            report.damaged = True
            report.notes.append(line)

        header = _read_header(job, self.args.salvage)
        codec_of = self.codec_of or _codecs_of_process(args.model, self.device, args.precision)
        codec = codec_of(header, str(job.source))
        written = codec.decode_file(
            *(job.source, job.target, args.bands, args.max_hz, args.float32, progress, args.rate),
            damaged=damaged if args.salvage else None,
        )
        if written.num_clipped and not args.float32:
            report.notes.append(
                f"{job.target}: {written.num_clipped} samples clipped at full scale "
                f"(peak {written.peak:.2f}); --float keeps them"
            )
        return f"{job.source} -> {job.target}: {header.duration:.2f} s"

    def problem_with(self, job: Job) -> str | None:
        """Say what is wrong with an audio file that is there."""
        from espnet2.gan_codec.bscodec.format.audio import AudioError, AudioReader
        from espnet2.gan_codec.bscodec.format.signals import playback

        header = _read_header(job, self.args.salvage)
        try:
            with AudioReader(job.target) as reader:
                found = (reader.sampling_rate, reader.num_samples)
                channels = reader.num_channels
        except AudioError:
            return "is no finished audio file"
        if found != playback(header, self.args.rate):
            return "of another length or rate"
        if channels != header.num_channels:
            return "with another number of channels"
        if older_than_input(job):
            return "older than its input"
        if self.args.salvage:
            self._tell_damage(job)
        return None

    def _tell_damage(self, job: Job) -> None:
        """Say again what is silent in a finished file."""
        from espnet2.gan_codec.bscodec.format.bitstream import BscReader
        from espnet2.gan_codec.bscodec.format.salvage import salvage

        def damaged(line: str) -> None:
            self.damaged = True
            print_note(line)

        def find_coder(header, name: str):
            assert self.codec_of is not None  # finished files are looked at in this process
            return self.codec_of(header, name).coder_of(header, name)

        with BscReader(job.source, any_size=True, find_coder=find_coder) as reader:
            for _ in salvage(reader, damaged):
                pass


def _rate(text: str) -> int | str:
    if text == "original":
        return text
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text}: expected a number of Hz, or original")
    return int(text)


class _Codecs:
    """The codec for a file: of ``--model`` if that was given, else the one its header names.

    Of a packaged model it is the version that made the file.  Only models that we know by name
    are taken from a header, so that a file cannot have anything loaded of its own choice.
    """

    def __init__(
        self, name: str | None, device: str, precision: str | None, get: Callable = load_codec
    ) -> None:
        self.device, self.precision, self.get = device, precision, get
        self.known: dict = {}
        self.name = name
        if name is not None:
            self.load(name)

    def __call__(self, header: BscHeader, path: str):
        from espnet2.gan_codec.bscodec.hub.cards import version_that_made
        from espnet2.gan_codec.bscodec.hub.error import ModelError
        from espnet2.gan_codec.bscodec.hub.resolver import PUBLISHED_MODELS, packaged_models

        name = self.name or header.model
        if self.name is None and name not in (*packaged_models(), *PUBLISHED_MODELS):
            raise ModelError(f"{path}: made by the model '{name}': give that with --model")
        return self.load(version_that_made(name, header.fingerprint))

    def load(self, name: str):
        """Load a model once; a model that could not be had is not tried again."""
        from espnet2.gan_codec.bscodec.hub.error import ModelError

        if name not in self.known:
            try:
                self.known[name] = self.get(name, self.device, self.precision)
            except ModelError as error:
                self.known[name] = error
        if isinstance(self.known[name], ModelError):
            raise self.known[name]
        return self.known[name]


@functools.lru_cache(maxsize=1)
def _codecs_of_process(name: str | None, device: str, precision: str | None) -> _Codecs:
    """The models of another process, which loads each of them once and says nothing of it."""
    from espnet2.gan_codec.bscodec.codec import Codec

    return _Codecs(name, device, precision, Codec.from_pretrained)
