"""Code clips the way a user would, file to file, and measure what came of it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np

from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.demo.clips import Clip
from espnet2.gan_codec.bscodec.demo.results import DomainResult
from espnet2.gan_codec.bscodec.format.audio import AudioReader
from espnet2.gan_codec.scoring.metrics.metric import Metric
from espnet2.gan_codec.scoring.pairs import score_pair

ENCODED = "encoded"
DECODED = "decoded"
RUNS = 3  # of which the median time counts


@dataclass(frozen=True)
class CodedClip:
    """A clip before and after, and what was measured.

    Attributes:
        original: (T,) float32, mono at the model's rate, as the codec saw it.
        decoded: (T,) float32, as read back from the decoded file.
        sampling_rate: of both, in Hz.
    """

    clip: Clip
    result: DomainResult
    original: np.ndarray
    decoded: np.ndarray
    sampling_rate: int


def code_clip(codec: Codec, clip: Clip, out: Path, metrics: list[Metric]) -> CodedClip:
    """Encode and decode ``clip`` through files below ``out``, and score it.

    Writes ``out/encoded/NAME.bsc`` and ``out/decoded/NAME.wav``. Each way is gone RUNS times
    and once more, unmeasured, before. A time counts from opening the input until the output lies
    on disk.

    Raises:
        ValueError, OSError: as ``Codec.encode_file`` and ``decode_file``.
    """
    encoded, decoded = out / ENCODED / f"{clip.name}.bsc", out / DECODED / f"{clip.name}.wav"
    for path in (encoded, decoded):
        path.parent.mkdir(parents=True, exist_ok=True)
    header = codec.encode_file(clip.path, encoded)
    encode_seconds = _median_time(lambda: codec.encode_file(clip.path, encoded))
    codec.decode_file(encoded, decoded)
    decode_seconds = _median_time(lambda: codec.decode_file(encoded, decoded))
    before, after = (read_mono(path, codec.sampling_rate) for path in (clip.path, decoded))
    result = DomainResult(
        name=clip.name,
        domain=clip.domain,
        clips=1,
        seconds=header.duration,
        file_bytes=encoded.stat().st_size,
        payload_bits=header.payload_bits,
        distances=score_pair(before, after, codec.sampling_rate, metrics),
        encode_seconds=encode_seconds,
        decode_seconds=decode_seconds,
    )
    return CodedClip(clip, result, before, after, codec.sampling_rate)


def _median_time(action: Callable[[], object]) -> float:
    """In seconds."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return median(times)


def read_mono(path: Path, sampling_rate: int) -> np.ndarray:
    """Return an audio file as the codec sees it: (T,) float32 at ``sampling_rate`` in Hz.

    Raises:
        AudioError, OSError: it cannot be read.
    """
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.mono_blocks(sampling_rate)))
