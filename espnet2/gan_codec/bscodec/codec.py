"""The user's object: load a model by its name, then encode and decode.

In short::

    codec = Codec.from_pretrained("bscodec-mini")
    encoded = codec.encode(audio, rate)  # audio (T,) or (T, C) at any rate
    codec.save(encoded, "a.bsc")
    audio = codec.decode(codec.load("a.bsc"))  # (num_samples,) at codec.sampling_rate
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch

from espnet2.gan_codec.bscodec.format.audio import (
    AudioReader,
    AudioWriter,
    downmix,
    resample,
    write_audio,
)
from espnet2.gan_codec.bscodec.format.bitstream import BscReader, BscWriter, EncodedAudio
from espnet2.gan_codec.bscodec.format.header import BscHeader
from espnet2.gan_codec.bscodec.hub.checkpoint import LoadedModel, load_model
from espnet2.gan_codec.bscodec.hub.resolver import DEFAULT_MODEL
from espnet2.gan_codec.bscodec.inference.chunks import chunk_frames, chunked
from espnet2.gan_codec.bscodec.inference.streaming_codec import (
    StreamDecoder,
    StreamEncoder,
    encode_batch,
)

MAX_CHANNELS = 64  # more than that is an array the wrong way round


class CodecError(ValueError):
    """Audio, codes or a choice of bands that this codec cannot work with: one line."""


class Codec:
    """A trained BSCodec, ready to code.

    Lengths: audio at another rate than the model's is resampled first, so ``num_samples`` of
    what is encoded counts samples at the model's rate, and decoding gives exactly that many.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.model, self.tag, self.fingerprint = loaded.model, loaded.tag, loaded.fingerprint
        self.checkpoint = loaded.checkpoint
        self.device = next(self.model.parameters()).device

    @classmethod
    def from_pretrained(cls, name: str = DEFAULT_MODEL, device: str = "auto") -> "Codec":
        """Load a model: a tag, folder, checkpoint or hub name, as ``load_model`` takes it.

        Raises:
            ModelError: one line.
        """
        return cls(load_model(name, device))

    def drop_decoder(self) -> "Codec":
        """Give back the memory of the decoders, which this codec then has no more."""
        self.model.generator.decoders.to("meta")
        return self

    @property
    def sampling_rate(self) -> int:
        """In Hz."""
        return self.model.sampling_rate

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """(low, high) in Hz of each stream of codes, lowest first; stages repeat their band."""
        return tuple(self.model.streams)

    def header(self, num_bands: int, num_samples: int = 0) -> BscHeader:
        """Return the header of a file with the lowest ``num_bands`` bands."""
        return BscHeader(
            num_samples=num_samples,
            sampling_rate=self.sampling_rate,
            hop_length=self.model.hop_length,
            bands=self.bands[:num_bands],
            codebook_sizes=tuple(self.model.codebook_sizes)[:num_bands],
            model=self.tag,
            fingerprint=self.fingerprint[:8],
        )

    def encode(
        self,
        audio: np.ndarray,
        rate: int,
        bands: int | None = None,
        max_hz: float | None = None,
    ) -> EncodedAudio:
        """Turn audio into codes.

        Args:
            audio: (T,) or (T, C), T >= 1; floats with full scale at +-1, or signed integers
                with full scale at the limits of their type. Channels are averaged.
            rate: of ``audio``, in Hz; it is resampled where the model has another.
            bands: keep only that many of the lowest bands.
            max_hz: keep only the bands that end at or below this frequency.

        Raises:
            CodecError: no audio, values that are not finite, or no such bands.
        """
        num_bands = count_bands(self.bands, bands, max_hz)
        signal = resample([_as_mono(audio)], _as_rate(rate), self.sampling_rate)
        counter = _Counter(signal)
        codes = np.concatenate(list(self.encode_blocks(counter, num_bands)), axis=1)
        return EncodedAudio(**vars(self.header(num_bands, counter.count)), codes=codes)

    def decode(
        self, encoded: EncodedAudio, bands: int | None = None, max_hz: float | None = None
    ) -> np.ndarray:
        """Turn codes into audio: (num_samples,) float32 at the model's rate.

        Args:
            encoded: codes of this very model.
            bands: play only that many of the lowest bands.
            max_hz: play only the bands that end at or below this frequency.

        Raises:
            CodecError: codes of another model, or no such bands.
        """
        self.check(encoded)
        num_bands = count_bands(encoded.bands, bands, max_hz)
        blocks = self.decode_blocks([encoded.codes[:num_bands]], encoded.num_samples)
        return np.concatenate(list(blocks))

    def encode_file(
        self,
        source: str | os.PathLike,
        target: str | os.PathLike,
        bands: int | None = None,
        max_hz: float | None = None,
        progress: Callable[[float], object] | None = None,
        missing: Callable[[str], object] | None = None,
    ) -> BscHeader:
        """Encode an audio file to a ``.bsc`` file and return the header of that.

        Args:
            source, target: the files.
            bands, max_hz: as for ``encode``.
            progress: called with seconds of audio as they are done.
            missing: encode what there is of a cut or damaged file, and call this with each line
                that says what is wrong; None: refuse such a file.

        Raises:
            AudioError, CodecError: the input cannot be read or coded.
            OSError: the output cannot be written; nothing of it is left.
        """
        num_bands = count_bands(self.bands, bands, max_hz)
        header = self.header(num_bands)
        with (
            AudioReader(source, missing is not None) as reader,
            BscWriter(target, header) as writer,
        ):
            counter = _Counter(reader.mono_blocks(self.sampling_rate))
            for codes in self.encode_blocks(counter, num_bands):
                writer.append(codes)
                if progress:
                    progress(codes.shape[1] * header.hop_length / header.sampling_rate)
            writer.close(counter.count)
            for problem in reader.problems:
                if missing:
                    missing(problem)
        return writer.header

    def decode_file(
        self,
        source: str | os.PathLike,
        target: str | os.PathLike,
        bands: int | None = None,
        max_hz: float | None = None,
        float32: bool = False,
        progress: Callable[[float], object] | None = None,
    ) -> AudioWriter:
        """Decode a ``.bsc`` file to ``.wav`` or ``.flac`` and return what was seen of clipping.

        ``float32`` stores floats instead of 16-bit integers; ``progress`` as in ``encode_file``.

        Raises:
            BitstreamError, CodecError: the input is damaged or of another model.
            AudioError, OSError: the output cannot be written; nothing of it is left.
        """
        with BscReader(source) as reader:
            header = reader.header
            self.check(header, reader.name)
            num_bands = count_bands(header.bands, bands, max_hz, reader.name)
            rate, length = header.sampling_rate, header.num_samples
            with write_audio(target, rate, length, float32) as writer:
                for block in self.decode_blocks((codes[:num_bands] for codes in reader), length):
                    writer.append(block)
                    if progress:
                        progress(len(block) / rate)
        return writer

    def encode_blocks(self, blocks: Iterable[np.ndarray], num_bands: int) -> Iterator[np.ndarray]:
        """Encode (n,) float32 blocks at the model's rate; yield codes (num_bands, f) int64.

        The codes are those of the whole signal, and memory does not grow with its length.
        """
        stream = self.stream_encoder(bands=num_bands)
        for chunk, last in chunked(blocks, chunk_frames(self.model) * self.model.hop_length):
            with _enough_memory((stream.num_samples_in + len(chunk)) / self.sampling_rate):
                yield stream.push(chunk[None], last)[0].cpu().numpy()

    def decode_blocks(
        self, blocks: Iterable[np.ndarray], num_samples: int
    ) -> Iterator[np.ndarray]:
        """Decode (N, f) blocks of codes; yield float32 blocks of ``num_samples`` in total."""
        stream: StreamDecoder | None = None
        for chunk, last in chunked(blocks, chunk_frames(self.model)):
            stream = stream or self.stream_decoder(bands=len(chunk))
            left = num_samples - stream.num_samples_out
            with _enough_memory(num_samples / self.sampling_rate):
                yield stream.push(chunk[None], last)[0, :left].float().cpu().numpy()

    def stream_encoder(self, batch: int = 1, bands: int | None = None) -> StreamEncoder:
        """Return a stream that takes samples (batch, n) at the model's rate and gives codes."""
        return StreamEncoder(self.model, batch, bands)

    def stream_decoder(self, batch: int = 1, bands: int | None = None) -> StreamDecoder:
        """Return a stream that takes codes (batch, N, f) of the lowest bands and gives samples."""
        return StreamDecoder(self.model, batch, bands)

    def encode_many(
        self,
        audios: Sequence[np.ndarray],
        rate: int,
        bands: int | None = None,
        max_hz: float | None = None,
    ) -> list[EncodedAudio]:
        """Encode several clips as one batch, each as ``encode`` does by itself.

        Args:
            audios: (T,) or (T, C) each, of any lengths; similar ones are done the fastest.
            rate, bands, max_hz: as for ``encode``.

        Raises:
            CodecError: as ``encode``.
        """
        num_bands = count_bands(self.bands, bands, max_hz)
        rate = _as_rate(rate)
        signals = [
            np.concatenate(list(resample([_as_mono(audio)], rate, self.sampling_rate)))
            for audio in audios
        ]
        tensors = [torch.from_numpy(signal).to(self.device) for signal in signals]
        with _enough_memory(sum(map(len, signals)) / self.sampling_rate):
            codes = encode_batch(self.model, tensors, num_bands)
        return [
            EncodedAudio(**vars(self.header(num_bands, len(signal))), codes=c.cpu().numpy())
            for signal, c in zip(signals, codes, strict=True)
        ]

    def load(self, path: str | os.PathLike) -> EncodedAudio:
        """Read a ``.bsc`` file of this model. Raises BitstreamError, CodecError or OSError."""
        encoded = EncodedAudio.load(path)
        self.check(encoded, os.fspath(path))
        return encoded

    def save(self, encoded: EncodedAudio, path: str | os.PathLike) -> None:
        """Write a ``.bsc`` file. Raises OSError, and leaves nothing, when the disk is full."""
        encoded.save(path)

    def check(self, header: BscHeader, name: str = "codes") -> None:
        """Raise CodecError unless codes under ``header`` were made by these very weights."""
        if header.fingerprint != self.fingerprint[:8]:
            raise CodecError(
                f"{name}: made by the model '{header.model}' with fingerprint "
                f"{header.fingerprint}; this is '{self.tag}' with {self.fingerprint[:8]}"
            )
        mine = self.header(header.num_bands, header.num_samples)
        for field in ("sampling_rate", "hop_length", "bands", "codebook_sizes"):
            theirs, ours = getattr(header, field), getattr(mine, field)
            if theirs != ours:
                raise CodecError(f"{name}: its {field} {theirs} are not this model's {ours}")


def count_bands(
    edges: tuple[tuple[float, float], ...],
    bands: int | None = None,
    max_hz: float | None = None,
    name: str = "the model",
) -> int:
    """Return how many of the lowest bands are meant; all when nothing is asked for.

    Args:
        edges: (low, high) in Hz of the bands there are.
        bands: their number, or
        max_hz: the frequency at or below which the last one has to end.
        name: of what has these bands, for the error.

    Raises:
        CodecError: both are given, or there are no such bands.
    """
    if bands is not None and max_hz is not None:
        raise CodecError("give a number of bands or a highest frequency, not both")
    ends = ", ".join(f"{high:g}" for _, high in edges)
    if max_hz is not None:
        count = sum(high <= max_hz for _, high in edges)
        if not count:
            raise CodecError(
                f"no band ends at or below {max_hz:g} Hz: {name} has ends at {ends} Hz"
            )
        return count
    if bands is not None and not 1 <= bands <= len(edges):
        raise CodecError(f"{bands} bands: {name} has {len(edges)}, which end at {ends} Hz")
    return len(edges) if bands is None else bands


class _Counter:
    """Hand blocks on and count their samples."""

    def __init__(self, blocks: Iterable[np.ndarray]) -> None:
        self.blocks = blocks
        self.count = 0

    def __iter__(self) -> Iterator[np.ndarray]:
        for block in self.blocks:
            self.count += len(block)
            yield block


def _as_mono(audio: np.ndarray) -> np.ndarray:
    """Return (T,) float32 of what ``Codec.encode`` takes. Raises CodecError."""
    audio = np.asarray(audio)
    if audio.ndim not in (1, 2) or audio.shape[-1] > MAX_CHANNELS and audio.ndim == 2:
        raise CodecError(f"audio has shape {audio.shape}: expected (T,) or (T, channels)")
    if not audio.size:
        raise CodecError("cannot encode empty audio")
    if audio.dtype.kind == "i":
        audio = audio / -float(np.iinfo(audio.dtype).min)
    elif audio.dtype.kind != "f":
        raise CodecError(f"audio is {audio.dtype}: expected floats or signed integers")
    with np.errstate(over="ignore"):
        audio = audio.astype(np.float32)
    if not np.isfinite(audio).all():
        raise CodecError("cannot encode audio that holds NaN or infinite samples")
    return downmix(audio) if audio.ndim == 2 else audio


def _as_rate(rate: int) -> int:
    if not 0 < rate < 2**31 or rate != int(rate):
        raise CodecError(f"sampling rate {rate}: expected a whole number of Hz")
    return int(rate)


@contextmanager
def _enough_memory(seconds: float) -> Iterator[None]:
    """Turn the ways in which NumPy and torch run out of memory into one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise CodecError(f"not enough memory to code {seconds:.0f} s of audio") from error
