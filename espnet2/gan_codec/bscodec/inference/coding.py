"""What coding of any audio rests on: which bands, a stream for each channel, enough memory."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import groupby

import numpy as np

from espnet2.gan_codec.bscodec.format.salvage import MISSING
from espnet2.gan_codec.bscodec.format.signals import CodecError
from espnet2.gan_codec.bscodec.inference.chunks import chunked
from espnet2.gan_codec.bscodec.inference.streaming_codec import StreamDecoder, StreamEncoder


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


def encode_channels(
    blocks: Iterable[np.ndarray], make_stream: Callable[[], StreamEncoder], size: int, rate: int
) -> Iterator[np.ndarray]:
    """Encode blocks of samples, chunk by chunk, each channel by itself.

    One channel after the other, so that many of them need the working memory of one.

    Args:
        blocks: (n,) float32, or (n, C) of several channels.
        make_stream: makes the stream of a channel.
        size: samples of a chunk.
        rate: in Hz, for the error.

    Yields:
        (N, f) int64, or (C, N, f).

    Raises:
        CodecError: there is not enough memory.
    """
    streams: list[StreamEncoder] = []
    for chunk, last in chunked((np.atleast_2d(block.T) for block in blocks), size):
        streams = streams or [make_stream() for _ in chunk]
        with enough_memory((streams[0].num_samples_in + chunk.shape[1]) / rate):
            pairs = zip(streams, chunk, strict=True)
            codes = [stream.push(row[None], last)[0].cpu().numpy() for stream, row in pairs]
            yield codes[0] if len(codes) == 1 else np.stack(codes)


def decode_channels(
    blocks: Iterable[np.ndarray],
    make_stream: Callable[[int], StreamDecoder],
    size: int,
    rate: int,
    num_samples: int,
) -> Iterator[np.ndarray]:
    """Decode blocks of codes, (N, f) or (C, N, f): undo ``encode_channels``.

    Blocks full of ``MISSING`` become silence, and what follows them is decoded as a signal of its
    own: no code is made up that its first samples would depend on.

    Args:
        blocks: of codes.
        make_stream: makes the stream of a channel with so many bands.
        size: frames of a chunk.
        rate: in Hz, for the error.
        num_samples: of each channel.

    Yields:
        (n,) float32, or (n, C), of ``num_samples`` in total.

    Raises:
        CodecError: there is not enough memory.
    """
    left = num_samples
    for is_missing, run in groupby(blocks, _is_missing):
        chunks = chunked(run, size)
        decoded = (
            _silent(chunks, make_stream) if is_missing else _decoded(chunks, make_stream, rate)
        )
        for audio in decoded:
            yield audio[:left]
            left -= len(audio[:left])


def _is_missing(codes: np.ndarray) -> bool:
    return codes.size > 0 and bool((codes == MISSING).all())


def _silent(
    chunks: Iterable[tuple[np.ndarray, bool]], make_stream: Callable[[int], StreamDecoder]
) -> Iterator[np.ndarray]:
    """Yield zeros, as many as there are samples in the frames of the chunks."""
    hop_length = 0
    for chunk, _ in chunks:
        *channels, num_bands, num_frames = chunk.shape
        hop_length = hop_length or make_stream(num_bands).hop_length
        yield np.zeros((num_frames * hop_length, *channels), dtype=np.float32)


def _decoded(
    chunks: Iterable[tuple[np.ndarray, bool]],
    make_stream: Callable[[int], StreamDecoder],
    rate: int,
) -> Iterator[np.ndarray]:
    """Yield all samples of the frames of the chunks, which are one signal."""
    streams: list[StreamDecoder] = []
    for chunk, last in chunks:
        channels = chunk.reshape(-1, *chunk.shape[-2:])
        streams = streams or [make_stream(channels.shape[1]) for _ in channels]
        done = streams[0].num_samples_out + chunk.shape[-1] * streams[0].hop_length
        with enough_memory(done / rate):
            audio = [
                stream.push(codes[None], last)[0].float().cpu().numpy()
                for stream, codes in zip(streams, channels, strict=True)
            ]
            yield audio[0] if len(audio) == 1 else np.stack(audio, axis=1)


@contextmanager
def enough_memory(seconds: float) -> Iterator[None]:
    """Turn the ways in which NumPy and torch run out of memory into one line."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        raise CodecError(f"not enough memory to code {seconds:.0f} s of audio") from error
