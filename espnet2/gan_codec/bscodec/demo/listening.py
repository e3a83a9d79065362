"""One signal coded to be listened to: any choice of its bands, beside the original."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch

from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.demo.clips import DemoError
from espnet2.gan_codec.bscodec.demo.info import ModelInfo
from espnet2.gan_codec.bscodec.demo.run import read_mono
from espnet2.gan_codec.bscodec.format.audio import AudioReader
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.format.escapes import escaped
from espnet2.gan_codec.bscodec.format.pictures import MAX_COLUMNS, RANGE_DB, codes_png, data_uri
from espnet2.gan_codec.scoring.report.original_decoded import Mark, axis_marks, draw_sides
from espnet2.gan_codec.scoring.report.templates import load_template

TEMPLATE = Path(__file__).with_name("listen.html")
SUFFIX = ".bsc"


@dataclass(frozen=True)
class Listening:
    """A coded signal.

    Attributes:
        name: of the file, without its suffix.
        file: the bytes of the ``.bsc`` file.
        encoded: what is in them.
        original: (T,) float32 as the codec saw it; None where a ``.bsc`` file was given.
        bands: (N, T) float32, what each band decodes to.
        encode_seconds, decode_seconds: time that each way took; no encoding of a ``.bsc`` file.
    """

    name: str
    file: bytes
    encoded: EncodedAudio
    original: np.ndarray | None
    bands: np.ndarray
    encode_seconds: float | None
    decode_seconds: float

    def mix(self, selected: Collection[int]) -> np.ndarray:
        """The sum (T,) of the bands with these numbers, from 0; silence of none."""
        return self.bands[sorted(selected)].sum(axis=0, dtype=np.float32)


def band_edges(codec: Codec) -> list[tuple[float, float]]:
    """(low, high) in Hz of each band that can be heard alone; stages of one band are one."""
    return list(dict.fromkeys(codec.bands))


def code(codec: Codec, path: Path, max_seconds: float) -> Listening:
    """Code an audio file, or decode a ``.bsc`` file of this model.

    Raises:
        DemoError: it is longer than ``max_seconds``, or has several channels of codes.
        AudioError, BitstreamError, CodecError, OSError: as of ``Codec.encode_file`` and ``load``.
    """
    original, encode_seconds = None, None
    if path.suffix.lower() == SUFFIX:
        file = path.read_bytes()
        encoded = codec.load(path)
        _check_length(path, encoded.duration, max_seconds)
    else:
        with AudioReader(path) as reader:
            known = reader.num_samples or 0  # some files do not say
            _check_length(path, known / reader.sampling_rate, max_seconds)
        original = read_mono(path, codec.sampling_rate)
        _check_length(path, len(original) / codec.sampling_rate, max_seconds)
        with tempfile.TemporaryDirectory() as folder:
            target = Path(folder, "coded.bsc")
            start = time.perf_counter()
            codec.encode_file(path, target)
            encode_seconds = time.perf_counter() - start
            file, encoded = target.read_bytes(), codec.load(target)
    if encoded.num_channels != 1:
        raise DemoError(f"{path.name}: has {encoded.num_channels} channels, expected one")
    start = time.perf_counter()
    bands = decode_bands(codec, encoded)
    decode_seconds = time.perf_counter() - start
    return Listening(path.stem, file, encoded, original, bands, encode_seconds, decode_seconds)


def _check_length(path: Path, seconds: float, most: float) -> None:
    if seconds > most:
        raise DemoError(f"{escaped(path.name)}: {seconds:.1f} s long, expected at most {most:g} s")


def decode_bands(codec: Codec, encoded: EncodedAudio) -> np.ndarray:
    """Decode every band on its own: (N, T) float32."""
    generator = codec.model.generator
    device = next(generator.parameters()).device
    with torch.inference_mode():
        codes = torch.from_numpy(encoded.codes.astype(np.int64)).to(device)
        waveforms = generator.decode_bands(codes[None])
        bands = torch.cat(waveforms, dim=1)[0, :, : encoded.num_samples]
    return bands.float().cpu().numpy()


def page(codec: Codec, heard: Listening, selected: Collection[int]) -> str:
    """A page of its own that plays, shows and offers what was coded, with these bands alone."""
    decoded = heard.mix(selected)
    signals = {"decoded": decoded}
    if heard.original is not None:
        difference = heard.original - decoded
        signals = {"original": heard.original, "decoded": decoded, "difference": difference}
    model = ModelInfo.of(codec)
    nyquist, duration = model.sampling_rate / 2, heard.encoded.duration
    wav = io.BytesIO()
    soundfile.write(wav, decoded, model.sampling_rate, format="WAV", subtype="PCM_16")
    return load_template(TEMPLATE).render(
        name=heard.name,
        sides=draw_sides(signals, model.sampling_rate),
        kilohertz=axis_marks(nyquist / 1000),
        edges=[Mark(100 * high / nyquist, f"{high / 1000:g}") for _, high in band_edges(codec)],
        seconds=axis_marks(duration),
        width=MAX_COLUMNS,
        range_db=RANGE_DB,
        codes=data_uri(codes_png(heard.encoded.codes, heard.encoded.codebook_sizes), "image/png"),
        duration=duration,
        file_bytes=len(heard.file),
        file_kbps=8 * len(heard.file) / duration / 1000,
        payload_kbps=heard.encoded.payload_bits / duration / 1000,
        encode_factor=heard.encode_seconds and duration / heard.encode_seconds,
        decode_factor=duration / heard.decode_seconds,
        bsc=data_uri(heard.file, "application/octet-stream"),
        wav=data_uri(wav.getvalue(), "audio/wav"),
        model=model,
    )
