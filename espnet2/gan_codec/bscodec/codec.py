"""The user's object: load a model by its name, then encode and decode.

In short::

    codec = Codec.from_pretrained("bscodec-mini")
    encoded = codec.encode(audio, rate)  # audio (T,) or (T, C) at any rate
    codec.save(encoded, "a.bsc")
    audio = codec.decode(codec.load("a.bsc"))  # (num_samples,) at codec.sampling_rate
"""

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import torch

from espnet2.gan_codec.bscodec.entropy.range_coder import RangeCoder
from espnet2.gan_codec.bscodec.format.audio import AudioReader, AudioWriter, resample, write_audio
from espnet2.gan_codec.bscodec.format.bitstream import BscReader, BscWriter, EncodedAudio
from espnet2.gan_codec.bscodec.format.channels import MEAN, ChannelMix
from espnet2.gan_codec.bscodec.format.header import BscHeader
from espnet2.gan_codec.bscodec.format.salvage import salvage
from espnet2.gan_codec.bscodec.format.signals import (
    CodecError,  # noqa: F401  (users have it from here)
    SampleCounter,
    as_channels,
    as_finite,
    as_mono,
    as_rate,
    check_same_model,
    playback,
    to_length,
    warn_of_loss,
)
from espnet2.gan_codec.bscodec.hub.checkpoint import LoadedModel, load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.predictors import check_coder, load_coder
from espnet2.gan_codec.bscodec.hub.resolver import DEFAULT_MODEL
from espnet2.gan_codec.bscodec.inference.chunks import chunk_frames
from espnet2.gan_codec.bscodec.inference.coding import (
    count_bands,
    decode_channels,
    encode_channels,
    enough_memory,
)
from espnet2.gan_codec.bscodec.inference.streaming_codec import (
    StreamDecoder,
    StreamEncoder,
    encode_batch,
)


class Codec:
    """A trained BSCodec, ready to code.

    Lengths: audio at another rate than the model's is resampled first, so ``num_samples`` of
    what is encoded counts samples at the model's rate, and decoding gives exactly that many.

    Channels: ``channels`` is ``"mean"``, ``"keep"`` (each has codes of its own), or the number of
    the one to code, from 1. An average that loses more than 12 dB is warned of.

    Rates: the rate and length before resampling are kept, and decoding with ``rate="original"``
    gives those again, with a number that rate in Hz. ``keep_rate=False`` leaves them out, for
    programs that read version 1 of the file format only.

    Precision: ``"bf16"`` has large products in bfloat16: faster, and not quite the same codes and
    audio. Files do not say which it was: either decodes what the other has coded.

    Entropy coding: with ``entropy=True`` files are smaller by about a fifth, and take longer to
    write and read; the codes are the same. It needs the model's code predictor and constriction.
    """

    def __init__(self, loaded: LoadedModel) -> None:
        self.model, self.tag, self.fingerprint = loaded.model, loaded.tag, loaded.fingerprint
        self.checkpoint = loaded.checkpoint
        self.device = next(self.model.parameters()).device

    @classmethod
    def from_pretrained(
        cls, name: str = DEFAULT_MODEL, device: str = "auto", precision: str | None = None
    ) -> "Codec":
        """Load a model by a name, to a device and in a precision, as ``load_model`` takes them.

        Raises ModelError, one line.
        """
        return cls(load_model(name, device, precision))

    def drop_decoder(self) -> "Codec":
        """Give back the memory of the decoders, which this codec then has no more."""
        self.model.generator.decoders.to("meta")
        return self

    @property
    def sampling_rate(self) -> int:
        """In Hz."""
        return self.model.sampling_rate

    @functools.cached_property
    def coder(self) -> RangeCoder:
        """The entropy coder of this model's codes. Raises ModelError: there is none."""
        return load_coder(self.checkpoint, self.fingerprint)

    def coder_of(self, header: BscHeader, name: str) -> RangeCoder:
        """Return the coder for an entropy-coded file of this model. Raises ModelError."""
        self.check(header, name)
        check_coder(self.coder, header, name)
        return self.coder

    @property
    def precision(self) -> str:
        """Of the large products: "float32" or "bf16"."""
        return self.model.generator.backend.precision_on(self.device)

    @property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """(low, high) in Hz of each stream of codes, lowest first; stages repeat their band."""
        return tuple(self.model.streams)

    def header(
        self, num_bands: int, num_samples: int = 0, num_channels: int = 1, original_rate: int = 0
    ) -> BscHeader:
        """Return the header of a file with the lowest ``num_bands`` bands."""
        return BscHeader(
            num_samples=num_samples,
            sampling_rate=self.sampling_rate,
            hop_length=self.model.hop_length,
            bands=self.bands[:num_bands],
            codebook_sizes=tuple(self.model.codebook_sizes)[:num_bands],
            model=self.tag,
            fingerprint=self.fingerprint[:8],
            num_channels=num_channels,
            original_rate=original_rate,
        )

    def encode(
        self,
        audio: np.ndarray,
        rate: int,
        bands: int | None = None,
        max_hz: float | None = None,
        channels: str | int = MEAN,
        keep_rate: bool = True,
    ) -> EncodedAudio:
        """Turn audio into codes.

        Args:
            audio: (T,) or (T, C), T >= 1; floats with full scale at +-1, or signed integers
                with full scale at the limits of their type.
            rate: of ``audio``, in Hz; it is resampled where the model has another.
            bands: keep only that many of the lowest bands.
            max_hz: keep only the bands that end at or below this frequency.
            channels, keep_rate: as the class says.

        Raises:
            CodecError: no audio, values that are not finite, or no such bands.
            AudioError: no such channel.
        """
        num_bands = count_bands(self.bands, bands, max_hz)
        audio, rate = as_channels(audio), as_rate(rate)
        mix = ChannelMix(channels, audio.shape[1], "audio")
        blocks = [mix(audio)]
        header = self.new_header(num_bands, mix, rate, keep_rate)
        counter = SampleCounter(resample(blocks, rate, self.sampling_rate, mix.num_outputs))
        codes = np.concatenate(list(self.encode_blocks(counter, num_bands)), axis=-1)
        warn_of_loss(mix, None)
        return EncodedAudio(**vars(header.finished(counter.count, mix.num_samples)), codes=codes)

    def decode(
        self,
        encoded: EncodedAudio,
        bands: int | None = None,
        max_hz: float | None = None,
        rate: int | str | None = None,
    ) -> np.ndarray:
        """Turn codes into audio: (T,) float32, or (T, C) of several channels.

        Args:
            encoded: codes of this very model.
            bands: play only that many of the lowest bands.
            max_hz: play only the bands that end at or below this frequency.
            rate: in Hz, or ``"original"``; None: the model's, with T = num_samples.

        Raises:
            CodecError: codes of another model, no such bands, no original rate, or no audio.
        """
        self.check(encoded)
        num_bands = count_bands(encoded.bands, bands, max_hz)
        blocks = [encoded.codes[..., :num_bands, :]]
        return as_finite(list(self._played(blocks, encoded, *playback(encoded, rate))))

    def encode_file(
        self,
        source: str | os.PathLike,
        target: str | os.PathLike,
        bands: int | None = None,
        max_hz: float | None = None,
        progress: Callable[[float], object] | None = None,
        missing: Callable[[str], object] | None = None,
        channels: str | int = MEAN,
        keep_rate: bool = True,
        notice: Callable[[str], object] | None = None,
        entropy: bool = False,
    ) -> BscHeader:
        """Encode an audio file to a ``.bsc`` file and return the header of that.

        Args:
            source, target: the files.
            bands, max_hz, channels, keep_rate: as for ``encode``.
            progress: called with seconds of audio as they are done.
            missing: encode what there is of a cut or damaged file, and call this with each line
                that says what is wrong; None: refuse such a file.
            notice: called with a line about an average of channels that loses much; None:
                Python's warnings.
            entropy: write an entropy-coded file.

        Raises:
            ModelError: with ``entropy``, the model has no code predictor.
            AudioError, CodecError: the input cannot be read or coded, or has no such channel.
            OSError: the output cannot be written; nothing of it is left.
        """
        num_bands = count_bands(self.bands, bands, max_hz)
        coder = self.coder if entropy else None
        with AudioReader(source, missing is not None) as reader:
            mix = ChannelMix(channels, reader.num_channels, reader.path)
            header = self.new_header(num_bands, mix, reader.sampling_rate, keep_rate)
            blocks = reader.mixed_blocks(self.sampling_rate, mix, mix.num_outputs)
            counter = SampleCounter(blocks)
            with BscWriter(target, header, coder) as writer:
                for codes in self.encode_blocks(counter, num_bands):
                    writer.append(codes)
                    if progress:
                        progress(codes.shape[-1] * header.hop_length / header.sampling_rate)
                finished = header.finished(counter.count, mix.num_samples)
                writer.close(finished.num_samples, finished.original_samples)
            if missing:
                for problem in reader.problems:
                    missing(problem)
        warn_of_loss(mix, notice)
        return writer.header

    def decode_file(
        self,
        source: str | os.PathLike,
        target: str | os.PathLike,
        bands: int | None = None,
        max_hz: float | None = None,
        float32: bool = False,
        progress: Callable[[float], object] | None = None,
        rate: int | str | None = None,
        damaged: Callable[[str], object] | None = None,
    ) -> AudioWriter:
        """Decode a ``.bsc`` file to ``.wav`` or ``.flac`` and return what was seen of clipping.

        ``float32`` stores floats instead of 16-bit integers; ``progress`` as in ``encode_file``,
        ``rate`` as in ``decode``. With ``damaged``, a damaged file is decoded with silence for
        the blocks that are lost, and ``damaged`` is called with each line that says which.

        Raises:
            BitstreamError, CodecError: the input is damaged or of another model.
            ModelError: it is entropy-coded, and this model has no predictor for that.
            AudioError, OSError: the output cannot be written; nothing of it is left.
        """
        with BscReader(source, any_size=damaged is not None, find_coder=self.coder_of) as reader:
            header = reader.header
            self.check(header, reader.name)
            num_bands = count_bands(header.bands, bands, max_hz, reader.name)
            new_rate, length = playback(header, rate)
            blocks = salvage(reader, damaged) if damaged else reader
            codes = (codes[..., :num_bands, :] for codes in blocks)
            with write_audio(target, new_rate, length, float32, header.num_channels) as writer:
                for block in self._played(codes, header, new_rate, length):
                    writer.append(block)
                    if progress:
                        progress(len(block) / new_rate)
        return writer

    def encode_blocks(self, blocks: Iterable[np.ndarray], num_bands: int) -> Iterator[np.ndarray]:
        """Encode float32 blocks at the model's rate; yield codes (num_bands, f) int64.

        Blocks are (n,), or (n, C) with codes (C, num_bands, f). The codes are those of the whole
        signal, and memory does not grow with its length.
        """
        size = chunk_frames(self.model) * self.model.hop_length
        return encode_channels(
            blocks, lambda: self.stream_encoder(bands=num_bands), size, self.sampling_rate
        )

    def decode_blocks(
        self, blocks: Iterable[np.ndarray], num_samples: int
    ) -> Iterator[np.ndarray]:
        """Decode (N, f) or (C, N, f) blocks of codes.

        Yields:
            (n,) or (n, C) float32 blocks, of ``num_samples`` in total.
        """
        return decode_channels(
            blocks,
            lambda bands: self.stream_decoder(bands=bands),
            chunk_frames(self.model),
            self.sampling_rate,
            num_samples,
        )

    def _played(
        self, blocks: Iterable[np.ndarray], header: BscHeader, rate: int, length: int
    ) -> Iterator[np.ndarray]:
        """Decode codes and resample them to exactly ``length`` samples at ``rate`` Hz."""
        audio = self.decode_blocks(blocks, header.num_samples)
        resampled = resample(audio, header.sampling_rate, rate, header.num_channels)
        return to_length(resampled, length)

    def new_header(self, num_bands: int, mix: ChannelMix, rate: int, keep_rate: bool) -> BscHeader:
        """Return the header of a file that is still to be coded from audio at ``rate`` Hz."""
        changed = rate != self.sampling_rate
        kept = rate if (keep_rate and changed) or mix.num_outputs > 1 else 0
        return self.header(num_bands, num_channels=mix.num_outputs, original_rate=kept)

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
                Channels are averaged.
            rate, bands, max_hz: as for ``encode``.

        Raises:
            CodecError: as ``encode``.
        """
        num_bands = count_bands(self.bands, bands, max_hz)
        rate = as_rate(rate)
        signals = [
            np.concatenate(list(resample([as_mono(audio)], rate, self.sampling_rate)))
            for audio in audios
        ]
        tensors = [torch.from_numpy(signal).to(self.device) for signal in signals]
        with enough_memory(sum(map(len, signals)) / self.sampling_rate):
            codes = encode_batch(self.model, tensors, num_bands)
        kept = rate if rate != self.sampling_rate else 0
        header = self.header(num_bands, original_rate=kept)
        return [
            EncodedAudio(**vars(header.finished(len(signal), len(audio))), codes=c.cpu().numpy())
            for audio, signal, c in zip(audios, signals, codes, strict=True)
        ]

    def load(self, path: str | os.PathLike) -> EncodedAudio:
        """Read a ``.bsc`` file of this model.

        Raises BitstreamError, CodecError, ModelError (entropy-coded otherwise) or OSError.
        """
        encoded = EncodedAudio.load(path, self.coder_of)
        self.check(encoded, os.fspath(path))
        return encoded

    def save(self, encoded: EncodedAudio, path: str | os.PathLike, entropy: bool = False) -> None:
        """Write a ``.bsc`` file. Raises OSError, and leaves nothing, when the disk is full.

        With ``entropy`` it is entropy-coded. Raises ModelError: the model has no code predictor.
        """
        encoded.save(path, self.coder if entropy else None)

    def check(self, header: BscHeader, name: str = "codes") -> None:
        """Raise CodecError unless codes under ``header`` were made by these very weights."""
        check_same_model(header, self.header(header.num_bands, header.num_samples), name)


@functools.lru_cache(maxsize=1)
def encoder_of(name: str, device: str, fingerprint: str, precision: str | None) -> Codec:
    """Return a codec without decoder, loaded once a process: for work that comes item by item.

    Raises:
        ModelError: it cannot be loaded any more, or is not the one with this fingerprint.
    """
    codec = Codec.from_pretrained(name, device, precision).drop_decoder()
    if codec.fingerprint != fingerprint:
        raise ModelError(f"{name}: has changed during the run")
    return codec
