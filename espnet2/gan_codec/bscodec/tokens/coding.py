"""From the lines of a shard to codes: audio is read ahead, short clips are encoded in batches.

The codes of an utterance are those of ``Codec.encode``. What stands in one batch follows from the
list alone, never from the number of processes.
"""

from __future__ import annotations

import errno
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from textwrap import shorten

import numpy as np

from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.format.audio import AudioReader
from espnet2.gan_codec.bscodec.format.channels import MEAN, ChannelMix
from espnet2.gan_codec.bscodec.tokens.commands import run_command, stop_commands
from espnet2.gan_codec.bscodec.tokens.manifest import Shard
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata
from espnet2.gan_codec.bscodec.tokens.read_ahead import read_ahead
from espnet2.gan_codec.bscodec.tokens.shards import write_shard

LONG_SECONDS = 120.0  # longer audio is never held as a whole but encoded as it is read
_WINDOW_BATCHES = 8  # among so many batches' worth of audio, similar lengths are put together
_WINDOW_COUNT = 4096
_OF_THE_MACHINE = {
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
}
_LONGEST_REASON = 1000  # a command may say anything


@dataclass(frozen=True)
class BatchPolicy:
    """How audio goes through a device; never what comes out, but for rounding.

    Attributes:
        batch_seconds: audio per batch; 0: one utterance at a time.
        num_readers: threads that read audio ahead.
    """

    batch_seconds: float
    num_readers: int

    @classmethod
    def of(cls, device: str, batch_seconds: float | None = None) -> BatchPolicy:
        """Return what suits a device: only a GPU gains from batches."""
        on_gpu = device.startswith("cuda")
        seconds = (120.0 if on_gpu else 0.0) if batch_seconds is None else batch_seconds
        return cls(seconds, num_readers=8 if on_gpu else 1)


@dataclass(frozen=True)
class Utterance:
    """A line of the list, once its audio has been read.

    Attributes:
        name: of the utterance.
        entry: its path or command.
        audio: (T,) float32 at the model's rate; empty if it is long, or there is none.
        reason: why there is none.
        problems: what is missing of it, where cut and damaged files are salvaged.
        warning: about an average of channels that loses much.
    """

    name: str
    entry: str
    audio: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    reason: str = ""
    problems: tuple[str, ...] = ()
    warning: str = ""

    @property
    def is_short(self) -> bool:
        """Whether its audio is held in memory."""
        return len(self.audio) > 0


@dataclass(frozen=True)
class Encoded:
    """What became of an utterance: ``codes`` (N, F) int64 of ``samples`` samples, or a reason."""

    utterance: Utterance
    codes: np.ndarray | None = None
    samples: int = 0
    reason: str = ""


def make_shard(
    codec: Codec,
    folder: Path,
    shard: Shard,
    lines: list[tuple[str, str]],
    metadata: TokenMetadata,
    policy: BatchPolicy,
    progress: Callable[[int, float], object] | None = None,
    salvage: bool = False,
) -> tuple[int, int, float, list[str], list[str]]:
    """Code the lines of a shard and write it.

    Args:
        progress: is called with utterances and seconds of audio as they are done.
        salvage: code what there is of cut and damaged files.

    Returns:
        The utterances that were encoded and that were skipped, seconds of audio, a line for each
        salvaged utterance, and one for each whose average of channels loses much.

    Raises:
        OSError: the shard cannot be written; nothing of it is left.
    """
    seconds = 0.0
    salvaged: list[str] = []
    warnings: list[str] = []
    bands, channels = len(metadata.bands), metadata.channels
    with write_shard(folder, shard, metadata) as output, _ending_commands():
        for encoded in encode_lines(codec, lines, bands, policy, channels, salvage):
            utterance = encoded.utterance
            duration = encoded.samples / metadata.sampling_rate
            if encoded.codes is None:
                output.skip(utterance.name, utterance.entry, encoded.reason)
            else:
                output.add(utterance.name, encoded.codes, encoded.samples)
                seconds += duration
                if utterance.problems:
                    missing = "; ".join(utterance.problems)
                    salvaged.append(f"{utterance.name}: salvaged {duration:.2f} s: {missing}")
                if utterance.warning:
                    warnings.append(utterance.warning)
            if progress:
                progress(1, duration)
    return len(output.rows), len(output.skipped), seconds, salvaged, warnings


@contextmanager
def _ending_commands() -> Iterator[None]:
    """An interrupted run waits for no command."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        stop_commands()
        raise


def encode_lines(
    codec: Codec,
    lines: Iterable[tuple[str, str]],
    num_bands: int,
    policy: BatchPolicy,
    channels: str | int = MEAN,
    salvage: bool = False,
) -> Iterator[Encoded]:
    """Code utterances; yield what became of each, in their order."""
    read = partial(_read, sampling_rate=codec.sampling_rate, channels=channels, salvage=salvage)
    utterances = (future.result() for future in read_ahead(read, lines, policy.num_readers))
    for window in _windows(utterances, codec.sampling_rate, policy):
        short = [u for u in window if u.is_short]
        done: dict[str, Encoded] = {}
        for batch in _batches(short, codec.sampling_rate, policy):
            done.update(
                (encoded.utterance.name, encoded) for encoded in _code(codec, batch, num_bands)
            )
        for utterance in window:
            if utterance.reason:
                yield Encoded(utterance, reason=utterance.reason)
            elif not utterance.is_short:
                yield _code_long(codec, utterance, num_bands, channels, salvage)
            else:
                yield done[utterance.name]


def _code(codec: Codec, batch: list[Utterance], num_bands: int) -> Iterator[Encoded]:
    """Code audio that is held in memory, in one batch if there is memory for that."""
    if len(batch) > 1:
        try:
            audios = [utterance.audio for utterance in batch]
            encoded = codec.encode_many(audios, codec.sampling_rate, num_bands)
        except ValueError:
            pass  # each by itself, to see which one it was
        else:
            for utterance, one in zip(batch, encoded, strict=True):
                yield Encoded(utterance, one.codes, one.num_samples)
            return
    for utterance in batch:
        try:
            blocks = list(codec.encode_blocks([utterance.audio], num_bands))
        except ValueError as error:
            yield Encoded(utterance, reason=_reason(error, utterance.entry))
        else:
            yield Encoded(utterance, np.concatenate(blocks, axis=1), len(utterance.audio))


def _code_long(
    codec: Codec, utterance: Utterance, num_bands: int, channels: str | int, salvage: bool
) -> Encoded:
    """Code audio as it is read."""
    samples = 0

    def counted(blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        nonlocal samples
        for block in blocks:
            samples += len(block)
            yield block

    try:
        with _opened(utterance.entry, salvage) as reader:
            mix = ChannelMix(channels, reader.num_channels, utterance.entry)
            blocks = counted(reader.mixed_blocks(codec.sampling_rate, mix))
            # copies, since what is yielded may be a view that holds much more
            parts = [codes.copy() for codes in codec.encode_blocks(blocks, num_bands)]
    except (ValueError, OSError) as error:
        _raise_if_of_the_machine(error)
        return Encoded(utterance, reason=_reason(error, utterance.entry))
    about = replace(utterance, problems=tuple(reader.problems), warning=mix.warning or "")
    return Encoded(about, np.concatenate(parts, axis=1), samples)


def _read(
    line: tuple[str, str], sampling_rate: int, channels: str | int, salvage: bool
) -> Utterance:
    name, entry = line
    blocks, samples = [], 0
    try:
        with _opened(entry, salvage) as reader:
            mix = ChannelMix(channels, reader.num_channels, entry)
            for block in reader.mixed_blocks(sampling_rate, mix):
                blocks.append(block)
                samples += len(block)
                if samples > LONG_SECONDS * sampling_rate:
                    return Utterance(name, entry)
    except (ValueError, OSError) as error:
        _raise_if_of_the_machine(error)
        return Utterance(name, entry, reason=_reason(error, entry))
    audio, problems = np.concatenate(blocks), tuple(reader.problems)
    return Utterance(name, entry, audio, problems=problems, warning=mix.warning or "")


@contextmanager
def _opened(entry: str, salvage: bool) -> Iterator[AudioReader]:
    """Open a file, or what a command that ends in "|" writes to its output."""
    if not entry.endswith("|"):
        with AudioReader(entry, salvage) as reader:
            yield reader
        return
    with tempfile.NamedTemporaryFile(suffix=".audio") as file:
        run_command(entry[:-1], file.file)
        try:
            with AudioReader(file.name, salvage) as reader:
                yield reader
        except ValueError as error:
            raise ValueError(str(error).replace(file.name, "its output")) from error


def _raise_if_of_the_machine(error: Exception) -> None:
    """What is full or used up says nothing of a file: it ends the run, and skips nothing."""
    if isinstance(error, OSError) and error.errno in _OF_THE_MACHINE:
        raise error


def _reason(error: Exception, entry: str) -> str:
    """Return what an error says, in one line and without the name that is known anyhow."""
    text = str(error)
    if isinstance(error, OSError) and error.filename is not None:
        text = str(error.strerror)
    words = " ".join(text.removeprefix(f"{entry}: ").split())
    return shorten(words, _LONGEST_REASON, placeholder=" ...") or type(error).__name__


def _windows(
    utterances: Iterable[Utterance], sampling_rate: int, policy: BatchPolicy
) -> Iterator[list[Utterance]]:
    """Cut a stream of utterances where enough audio has come together to choose batches from."""
    window: list[Utterance] = []
    samples = 0
    for utterance in utterances:
        window.append(utterance)
        samples += len(utterance.audio)
        full = samples >= _WINDOW_BATCHES * policy.batch_seconds * sampling_rate
        if full or len(window) == _WINDOW_COUNT:
            yield window
            window, samples = [], 0
    if window:
        yield window


def _batches(
    utterances: list[Utterance], sampling_rate: int, policy: BatchPolicy
) -> Iterator[list[Utterance]]:
    """Group utterances of similar length, at most ``batch_seconds`` together, or one."""
    batch: list[Utterance] = []
    samples = 0
    for utterance in sorted(utterances, key=lambda utterance: len(utterance.audio)):
        if batch and samples + len(utterance.audio) > policy.batch_seconds * sampling_rate:
            yield batch
            batch, samples = [], 0
        batch.append(utterance)
        samples += len(utterance.audio)
    if batch:
        yield batch
