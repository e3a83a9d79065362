"""``bscodec tokenize``: a corpus to shards of codes with an index."""

import argparse
import re
import time
from contextlib import closing
from pathlib import Path

from espnet2.gan_codec.bscodec.cli.encode import add_common_arguments, load_codec, parse_channels
from espnet2.gan_codec.bscodec.cli.jobs import print_line, print_note
from espnet2.gan_codec.bscodec.cli.places import add_place_arguments, open_place, positive
from espnet2.gan_codec.bscodec.cli.usage import UsageError
from espnet2.gan_codec.bscodec.format.files import require_regular

LOG_SECONDS = 60  # between two lines of progress, where there is no terminal
HELP = "turn a corpus into shards of discrete tokens"
DESCRIPTION = """
Turn all audio of a wav.scp, a list of paths or a folder into shards of codes in the folder OUT,
with codec.scp, utt2num_frames and meta.json. Many processes on this machine, or many jobs on a
cluster, make the same files. docs/tokens.md describes them and how to read them.
"""
EPILOG = """
Run again, it goes on where it was: finished shards are kept; shards that are damaged, or whose
lines of the list have changed, are made again; shards of another model or format are an error.
What cannot be coded is listed in skipped.tsv; the exit status is 1 if that is everything, but 0
with --shard, and a note: other jobs may have coded more, which --merge tells. --force makes
everything again.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the input and the options."""
    parser.add_argument(
        "input",
        type=Path,
        metavar="IN",
        help="a Kaldi list ending in .scp (name path), another list (a path a line), or a folder",
    )
    add_common_arguments(parser, "the folder of tokens", required=True)
    parser.set_defaults(model="bscodec-mini")
    audio = parser.add_argument_group("audio")
    audio.add_argument(
        *("--channels", "--channel"),
        type=_one_channel,
        default="mean",
        metavar="WHICH",
        help="mean of all channels, or the number of one, from 1 (default: mean)",
    )
    tokens = parser.add_argument_group("tokens")
    tokens.add_argument(
        "--format",
        default="ark",
        choices=("ark", "npz", "speechlm", "parquet"),
        help="ark: Kaldi archives of (frames, bands) matrices; npz: the same by NumPy; speechlm: "
        "flat int32 vectors as ESPnet's speech LM reads them; parquet: a row an utterance, as "
        "Hugging Face datasets, Polars and Spark read it (default: ark)",
    )
    tokens.add_argument(
        *("--shard-size", "--shard_size"),
        type=positive,
        metavar="N",
        help="utterances per shard (default: as is there already, else 10 to 1000 by the list)",
    )
    place = add_place_arguments(parser, "processes (default: one per GPU, or per CPU)")
    place.add_argument(
        *("--batch-seconds", "--batch_seconds"),
        type=float,
        metavar="S",
        help="audio coded at once; 0: one utterance at a time (default: 120 on a GPU, 0 on a CPU)",
    )
    part = parser.add_argument_group("part of the work")
    which = part.add_mutually_exclusive_group()
    which.add_argument(
        "--shard",
        type=_shard_of,
        metavar="I/N",
        help="only every N-th shard from the I-th on, and no index: a job of a cluster's",
    )
    which.add_argument(
        "--merge", action="store_true", help="only check all shards and write the index"
    )
    part.add_argument(
        *("--retry-skipped", "--retry_skipped"),
        action="store_true",
        help="make shards with skipped utterances again",
    )
    audio.add_argument(
        "--salvage",
        action="store_true",
        help="code what there is of cut and damaged files, and say what is missing",
    )
    audio.add_argument(
        *("--allow-commands", "--allow_commands"),
        action="store_true",
        help="run what ends in '|' in a list as a shell command, whose output is the audio",
    )


def run(args: argparse.Namespace) -> int:
    """Make shards, the index, or both; return the exit status."""
    folder = Path(args.output)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o {folder}: a folder is needed, and this is a file")
    if not args.input.is_dir():
        require_regular(args.input)

    from espnet2.gan_codec.bscodec.codec import count_bands
    from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
    from espnet2.gan_codec.bscodec.tokens.index import (
        check_folder,
        mark_incomplete,
        stored_shard_size,
    )
    from espnet2.gan_codec.bscodec.tokens.manifest import open_manifest
    from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata
    from espnet2.gan_codec.bscodec.tokens.workers import Work

    place = open_place(args)
    # for workers and GPUs only the header is of interest here
    is_here = not args.cluster and place.device == "cpu"
    codec = load_codec(args.model, "cpu", args.precision if is_here else None)
    precision = args.precision or codec.precision
    num_bands = count_bands(codec.bands, args.bands, args.max_hz)
    folder.mkdir(parents=True, exist_ok=True)
    size = args.shard_size or stored_shard_size(folder)
    manifest = open_manifest(args.input, folder, size, args.allow_commands)
    header = codec.header(num_bands)
    dtype = FORMATS[args.format].dtype(header.codebook_sizes)
    metadata = TokenMetadata.of(
        header,
        codec.fingerprint,
        args.format,
        dtype,
        manifest.shard_size,
        args.channels,
        precision,
    )
    first, step = args.shard or (1, 1)
    if not args.force:
        check_folder(folder, metadata, first, step)
    if args.merge:
        return _merge(folder, manifest, metadata, digests=True)
    shards = manifest.shards[first - 1 :: step]
    remaining = (
        list(shards) if args.force else _incomplete(folder, shards, metadata, args.retry_skipped)
    )
    cached = sum(shard.count for shard in shards) - sum(shard.count for shard in remaining)
    if cached:
        print_line(f"{_count(cached, 'utterance')} {'is' if cached == 1 else 'are'} there already")
    if remaining:
        mark_incomplete(folder)
        work = Work(args.model, folder, manifest.path, metadata, args.batch_seconds, args.salvage)
        encoded = _make(work, remaining, place, codec)
        if args.shard and not encoded and not cached:
            print_note("all utterances of this job were skipped: --merge writes the list of them")
    return 0 if args.shard else _merge(folder, manifest, metadata, digests=False)


def _incomplete(folder: Path, shards, metadata, retry_skipped: bool) -> list:
    """Return the shards that are to be made, and say why where there is something already."""
    from espnet2.gan_codec.bscodec.tokens.shards import (
        MISSING,
        IncompleteError,
        open_finished,
        with_digests,
    )

    remaining = []
    with _progress_bar(len(shards), "shard", "checking") as bar:
        for shard, digest in with_digests(folder, shards, metadata.format):
            try:
                index = open_finished(folder, shard, metadata, digest)
                if index.skipped and retry_skipped:
                    remaining.append(shard)
            except IncompleteError as error:
                remaining.append(shard)
                if error.reason != MISSING:
                    print_note(f"{error}: made again")
            bar.update()
    return remaining


def _make(work, shards: list, place, codec) -> int:
    """Make shards and print how fast that was; return how many utterances were encoded."""
    from espnet2.gan_codec.bscodec.inference.executors import Processes
    from espnet2.gan_codec.bscodec.tokens.workers import make_shards

    where = "a cluster"
    if isinstance(place, Processes):
        place = place.at_most(len(shards))
        where = _count(len(place.devices), "process", "processes")

    encoded = skipped = cancelled = 0
    seconds, total = 0.0, sum(shard.count for shard in shards)
    begun = reported = time.monotonic()
    with (
        _progress_bar(total, "utt") as bar,
        closing(make_shards(work, shards, place, codec, _Progress(bar))) as results,
    ):
        for result in results:
            encoded, skipped = encoded + result.encoded, skipped + result.skipped
            seconds += result.seconds
            for line in result.salvaged:
                print_note(line)
            if result.warnings and not cancelled:
                print_note(result.warnings[0])
            cancelled += len(result.warnings)
            elapsed = time.monotonic() - begun
            if bar.disable and begun + elapsed > reported + LOG_SECONDS:  # a log has no bar
                reported, done = begun + elapsed, encoded + skipped
                left = _duration(elapsed / done * (total - done))
                print_line(
                    f"{done} of {total} utterances, {_speed(seconds, elapsed)}, {left} left"
                )
    elapsed = time.monotonic() - begun
    if cancelled > 1:
        print_note(f"averaging loses more than 12 dB of {cancelled} utterances altogether")
    failed = f", {skipped} skipped" if skipped else ""
    print_line(
        f"{_count(encoded, 'utterance')} coded{failed}: {_duration(seconds)} of audio in "
        f"{_duration(elapsed)} with {where}, {_speed(seconds, elapsed)}"
    )
    return encoded


def _count(number: int, one: str, several: str = "") -> str:
    """Return "1 shard" or "2 shards"."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def _merge(folder: Path, manifest, metadata, digests: bool) -> int:
    """Write the index; return 1 if there are no codes at all."""
    from espnet2.gan_codec.bscodec.tokens.index import SKIPPED, skipped_note, write_index

    with _progress_bar(len(manifest.shards), "shard", "index") as bar:
        totals = write_index(folder, manifest, metadata, digests, bar.update)
    skipped = f", {totals.skipped} skipped ({folder / SKIPPED})" if totals.skipped else ""
    if note := skipped_note(folder):
        print_note(note)
    duration = _duration(totals.samples / metadata.sampling_rate)
    utterances = _count(totals.utterances, "utterance")
    shards = _count(len(manifest.shards), "shard")
    print_line(
        f"{folder}: {utterances} in {shards}{skipped}: "
        f"{totals.frames} frames, {duration} at {metadata.bitrate / 1000:.2f} kbit/s"
    )
    return 0 if totals.utterances else 1


class _Progress:
    """Move a bar, which counts utterances, and have it report_progress the speed."""

    def __init__(self, bar) -> None:
        self.bar, self.seconds, self.begun = bar, 0.0, time.monotonic()

    def __call__(self, utterances: int, seconds: float) -> None:
        self.seconds += seconds
        elapsed = time.monotonic() - self.begun
        self.bar.set_postfix_str(_speed(self.seconds, elapsed), refresh=False)
        self.bar.update(utterances)


def _progress_bar(total: int, unit: str, what: str | None = None):
    from tqdm import tqdm

    return tqdm(total=total, unit=unit, desc=what, disable=None, leave=False)


def _speed(seconds: float, elapsed: float) -> str:
    return f"{seconds / max(elapsed, 1e-9):.1f} hours of audio per hour"


def _duration(seconds: float) -> str:
    return f"{seconds / 3600:.2f} h" if seconds >= 3600 else f"{seconds:.1f} s"


def _one_channel(text: str) -> str | int:
    if text == "keep":
        raise argparse.ArgumentTypeError("keep: tokens are of one channel: give mean or a number")
    return parse_channels(text)


def _shard_of(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise argparse.ArgumentTypeError(f"{text}: expected I/N with I from 1 to N")
    return int(match[1]), int(match[2])
