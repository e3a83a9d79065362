"""``bscodec encode``: audio files to ``.bsc`` files."""

import argparse
import os
import re
from dataclasses import replace

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
from espnet2.gan_codec.bscodec.cli.usage import add_model_arguments

HELP = "turn audio files into .bsc files"
DESCRIPTION = """
Turn audio files of any format, rate and number of channels into .bsc files. They are averaged to
one channel, if --channels says nothing else, and resampled to the model's rate; decoding gives
exactly as many samples at that rate. IN and OUT may be - for standard input and output. What
libsndfile does not know (m4a, mp4, webm, wma) is read through ffmpeg, where that is installed.
"""
EPILOG = """
A single file goes beside its input where -o is not given. Several files, or folders with all that
is below them, go into the folder OUT under their stems. A file that fails is named and the others
are made all the same; the exit status is 1 then. In a second run what is finished is skipped; what
is there but does not belong to this run (older than its input, of another model, other bands, or
other channels) is an error for that file. --force makes everything again; an input is never
overwritten. Which single channel was taken is not stored: a run with another one needs --force.
"""
FILE_PROCESSES = (
    "processes for several files (default: one per CPU, or per GPU, if the work takes long)"
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the inputs, and the options that ``decode`` has as well."""
    parser.add_argument(
        "inputs", nargs="+", metavar="IN", help="audio files, folders with audio files, or -"
    )
    add_common_arguments(
        parser, "the .bsc file to write, -, or a folder (default: beside a single input)"
    )
    audio = parser.add_argument_group("audio")
    audio.add_argument(
        *("--channels", "--channel"),
        type=parse_channels,
        default="mean",
        metavar="WHICH",
        help="mean of all channels, the number of one, from 1, or keep: code each of them "
        "(default: mean)",
    )
    audio.add_argument(
        *("--no-keep-rate", "--no_keep_rate"),
        dest="keep_rate",
        action="store_false",
        help="do not store the rate and length before resampling, which 'decode --rate original' "
        "gives again: a single channel is then in version 1 of the format, which older "
        "programs read",
    )
    audio.add_argument(
        "--entropy",
        action="store_true",
        help="code the codes once more, by what a network expects of them: files are smaller by "
        "about a fifth, decode to the same audio, and take longer to write and read "
        "(version 3 of the format; needs 'espnet-bscodec[entropy]')",
    )
    audio.add_argument(
        "--salvage",
        action="store_true",
        help="code what there is of cut and damaged files, and say what is missing",
    )
    add_place_arguments(parser, FILE_PROCESSES)
    parser.set_defaults(model="bscodec-mini")


def add_common_arguments(
    parser: argparse.ArgumentParser, output: str, required: bool = False
) -> None:
    """Add what ``encode`` and ``decode`` share; ``required``: there has to be an output."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", required=required, metavar="OUT", help=output)
    group.add_argument("--force", action="store_true", help="overwrite what is there already")
    add_model_arguments(parser)
    which = parser.add_argument_group("bands").add_mutually_exclusive_group()
    which.add_argument("--bands", type=int, metavar="N", help="only the N lowest bands")
    which.add_argument(
        "--max-hz", type=float, metavar="HZ", help="only the bands that end at or below HZ"
    )


def run(args: argparse.Namespace) -> int:
    """Encode all inputs; return the exit status."""
    with standard_streams(args.inputs, args.output, ".bsc") as streams:
        return _run(args, streams)


def _run(args: argparse.Namespace, streams: StandardStreams) -> int:
    from espnet2.gan_codec.bscodec.format.audio import SUFFIXES, AudioReader

    job_list = list_jobs(streams.inputs, streams.output, SUFFIXES, [".bsc"])

    def seconds(job: Job) -> float:
        with AudioReader(job.source, args.salvage) as reader:
            return reader.duration

    place = place_of_files(args, job_list)

    from espnet2.gan_codec.bscodec.codec import count_bands

    here = ("cpu", None) if args.cluster else (args.device, args.precision)
    codec = load_codec(args.model, *here).drop_decoder()
    if args.entropy:
        codec.coder.fits(())  # a model without one ends the run before its first file
    work = _Encoding(args, codec, count_bands(codec.bands, args.bands, args.max_hz), place)
    return run_job_list(
        *(job_list, work, _Tell(streams), seconds, args.force, streams, place),
        at_once=bool(args.cluster or args.nj),
    )


class _Encoding:
    """How an audio file becomes a ``.bsc`` file."""

    def __init__(self, args: argparse.Namespace, codec, num_bands: int, place) -> None:
        self.args, self.codec, self.num_bands = args, codec, num_bands
        self.fingerprint = codec.fingerprint
        self.device = place.device if place else args.device

    def __getstate__(self) -> dict:
        """Leave out the model: each process loads its own."""
        return {**self.__dict__, "codec": None}

    def make(self, job: Job, report: Report, progress: Progress) -> str:
        """Encode a file."""
        from espnet2.gan_codec.bscodec.codec import encoder_of
        from espnet2.gan_codec.bscodec.format.audio import AudioReader

        args = self.args
        wanted = (args.model, self.device, self.fingerprint, args.precision)
        codec = self.codec or encoder_of(*wanted)
        with AudioReader(job.source, args.salvage) as reader:
            report.changes.update(_conversions(reader, codec.sampling_rate, args.channels))
        problems: list[str] = []
        header = codec.encode_file(
            job.source,
            job.target,
            self.num_bands,
            progress=progress,
            missing=problems.append if args.salvage else None,
            channels=args.channels,
            keep_rate=args.keep_rate,
            notice=lambda line: report.notes.append(f"{line}, --channels keep codes all"),
            entropy=args.entropy,
        )
        if problems:
            report.notes.append(
                f"{job.source}: salvaged {header.duration:.2f} s: {'; '.join(problems)}"
            )
        size = job.target.stat().st_size
        rate = header.file_bitrate(size) if args.entropy else header.bitrate
        return (
            f"{job.source} -> {job.target}: {header.duration:.2f} s, "
            f"{rate / 1000:.2f} kbit/s, {size} bytes"
        )

    def problem_with(self, job: Job) -> str | None:
        """Say what is wrong with a ``.bsc`` file that is there."""
        from espnet2.gan_codec.bscodec.format.bitstream import BitstreamError, BscReader

        try:
            with BscReader(job.target) as reader:
                header = reader.header
        except BitstreamError:
            return "is no finished .bsc file"
        plain = replace(header, num_channels=1, original_rate=0, original_samples=0, predictor="")
        if plain != self.codec.header(self.num_bands, header.num_samples):
            return "of another model or with other bands"
        if header.num_channels != self._num_channels(job):
            return "with other channels"
        if bool(header.predictor) != self.args.entropy:
            return "entropy-coded" if header.predictor else "not entropy-coded"
        return "older than its input" if older_than_input(job) else None

    def _num_channels(self, job: Job) -> int:
        from espnet2.gan_codec.bscodec.format.audio import AudioReader
        from espnet2.gan_codec.bscodec.format.channels import KEEP, ChannelMix

        if self.args.channels != KEEP:
            return 1  # without a look into the input
        with AudioReader(job.source, self.args.salvage) as reader:
            return ChannelMix(KEEP, reader.num_channels, reader.path).num_outputs


def parse_channels(text: str) -> str | int:
    """Return what ``--channels`` says: "mean", "keep", or a number from 1."""
    if text in ("mean", "keep"):
        return text
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text}: expected mean, keep, or a number from 1")
    return int(text)


def load_codec(name: str, device: str, precision: str | None = None):
    """Load a model and print which checkpoint was taken, where the name leaves that open."""
    from espnet2.gan_codec.bscodec.codec import Codec

    codec = Codec.from_pretrained(name, device, precision)
    if os.path.isdir(name):
        print_note(f"{name}: taking {codec.checkpoint}")
    return codec


def _conversions(reader, sampling_rate: int, channels: str | int) -> dict[str, str]:
    """Say what is done to a file's rate and channels, by kind."""
    changes = {}
    if reader.sampling_rate != sampling_rate:
        changes["rate"] = f"resampled from {reader.sampling_rate} to {sampling_rate} Hz"
    if channels == "mean" and reader.num_channels > 1:
        changes["channels"] = f"downmixed from {reader.num_channels} channels to one"
    elif channels != "keep" and reader.num_channels > 1:
        changes["channels"] = f"channel {channels} taken of {reader.num_channels}"
    return changes


class _Tell:
    """Print the notes of a report, and each kind of conversion once in a run."""

    def __init__(self, streams: StandardStreams) -> None:
        self.streams = streams
        self.said: set[str] = set()

    def __call__(self, job: Job, report: Report) -> None:
        changes = [text for kind, text in report.changes.items() if kind not in self.said]
        self.said |= report.changes.keys()
        if changes:
            source = self.streams.named(str(job.source))
            print_note(f"{source}: {' and '.join(changes)} (others like it: not said again)")
        print_notes(report, self.streams)
