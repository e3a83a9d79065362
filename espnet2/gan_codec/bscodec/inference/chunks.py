"""Long signals in chunks of one size, whatever the blocks that they arrive in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from espnet2.gan_codec.bscodec.model.bscodec import BandSplitCodec
from espnet2.gan_codec.bscodec.model.config import BF16
from espnet2.gan_codec.bscodec.model.filterbank import MDCTFilterbank

# Shorter chunks pay every layer's overhead more often, and with longer ones the memory grows.
# Spectral networks do far less work a second.
WAVEFORM_SECONDS = 2.5
SPECTRAL_SECONDS = 10.0


def chunk_frames(model: BandSplitCodec) -> int:
    """Return how many frames of codes at a time cost the least."""
    seconds = SPECTRAL_SECONDS if _is_spectral(model) else WAVEFORM_SECONDS
    return max(1, int(seconds * model.sampling_rate / model.hop_length))


def band_chunk_frames(model: BandSplitCodec) -> int | None:
    """Return how many frames of a chunk one band computes before the next one does.

    Half a waveform chunk's signals fit the cache, in bfloat16 all of them.  ``None``: bands of
    spectral networks compute a whole chunk, whose signals are small.
    """
    if _is_spectral(model):
        return None
    precision = model.generator.backend.precision_on(next(model.parameters()).device)
    return max(1, chunk_frames(model) // (1 if precision == BF16 else 2))


def _is_spectral(model: BandSplitCodec) -> bool:
    return isinstance(model.generator.filterbank, MDCTFilterbank)


def chunked(blocks: Iterable[np.ndarray], size: int) -> Iterator[tuple[np.ndarray, bool]]:
    """Cut and join blocks (..., n), one or more, to chunks of ``size`` or a little more.

    Yields:
        The chunk, and whether it is the last one, which has what is left.
    """
    pending: list[np.ndarray] = []
    count = 0
    for block in blocks:
        for start in range(0, block.shape[-1], size):
            if count >= size:
                yield np.concatenate(pending, axis=-1), False
                pending, count = [], 0
            pending.append(block[..., start : start + size])
            count += pending[-1].shape[-1]
    yield np.concatenate(pending, axis=-1), True
