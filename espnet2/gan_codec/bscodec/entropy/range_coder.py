"""Blocks of codes to bytes and back: a predictor's frequencies in constriction's range coder.

constriction makes a frequency of each weight by adding one, and scales only where they do not sum
to 2^24 then. Ours do, so that its floats are the integers that they were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from espnet2.gan_codec.bscodec.entropy.predictor import Predictor

_ROWS = 4096  # of frames and channels, whose frequencies are in memory at once
WORD_BYTES = 4
_WORD = "<u4"


class MissingCoder(ImportError):
    """constriction is not installed: one line."""


class RangeCoder:
    """Codes of a block, (channels, bands, frames), as bytes.

    In a frame the lowest band comes first; of a band all channels' groups, then all their codes.

    Attributes:
        fingerprint: first 4 bytes of the predictor's, as 8 hex digits.
    """

    def __init__(self, predictor: Predictor) -> None:
        try:
            import constriction
        except ImportError as error:
            raise MissingCoder(
                "entropy coding needs constriction: pip install 'espnet-bscodec[entropy]'"
            ) from error
        self.predictor, self.fingerprint = predictor, predictor.fingerprint[:8]
        self.queue = constriction.stream.queue
        self._categorical = constriction.stream.model.Categorical

    def fits(self, codebook_sizes: Sequence[int]) -> bool:
        """Whether a file has the lowest bands of the predictor's."""
        sizes = tuple(codebook_sizes)
        return sizes == self.predictor.codebook_sizes[: len(sizes)]

    def encode(self, codes: np.ndarray) -> bytes:
        """Codes (channels, bands, frames) to bytes."""
        channels, num_bands, num_frames = codes.shape
        predictor, encoder = self.predictor, self.queue.RangeEncoder()
        vectors = predictor.no_vectors(channels, num_frames)
        for band in range(num_bands):
            predictor.enter(vectors, range(num_frames), band, codes[:, band])
        size = max(1, _ROWS // channels)
        for start in range(0, num_frames, size):
            frames = range(start, min(start + size, num_frames))
            chosen = codes[:, :, frames.start : frames.stop]
            tables = [self._tables(vectors, frames, b, chosen[:, b]) for b in range(num_bands)]
            for frame in range(len(frames)):
                for symbols, weights in (pair for table in tables for pair in table):
                    for symbol, row in zip(symbols[:, frame], weights[:, frame], strict=True):
                        encoder.encode(int(symbol), self.model_of(row))
        return _bytes_of(encoder)

    def _tables(
        self, vectors: np.ndarray, frames: range, band: int, codes: np.ndarray
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Symbols (channels, frames) and weights (channels, frames, n) of groups and of codes."""
        network = self.predictor.networks[band]
        slots = network.slots[codes]
        groups, places = slots >> network.low_bits, slots & ((1 << network.low_bits) - 1)
        queries = network.queries(self.predictor.context(vectors, frames, band))
        group_weights = network.group_weights(queries)
        code_weights = network.code_weights(queries, groups.reshape(-1))
        return [
            (groups, group_weights.reshape(*codes.shape, -1)),
            (places, code_weights.reshape(*codes.shape, -1)),
        ]

    def decode(
        self, payloads: Sequence[bytes], num_frames: Sequence[int], channels: int, num_bands: int
    ) -> list[np.ndarray | None]:
        """Decode several blocks, frame by frame all of them.

        Args:
            payloads: what ``encode`` gave for each.
            num_frames: of each, none longer than the one before it.

        Returns:
            Codes (channels, num_bands, frames) int64 of each; None where ``encode`` never gives
            these bytes.
        """
        predictor = self.predictor
        streams = [_Stream(self, payload) for payload in payloads]
        rows = [stream for stream in streams for _ in range(channels)]
        codes = np.zeros((len(rows), num_bands, max(num_frames)), dtype=np.int64)
        vectors = predictor.no_vectors(len(rows), max(num_frames))
        for frame in range(max(num_frames)):
            there = channels * sum(count > frame for count in num_frames)
            known, now = vectors[:there], range(frame, frame + 1)
            for band in range(num_bands):
                network = predictor.networks[band]
                queries = network.queries(predictor.context(known, now, band))
                groups = _symbols(rows, network.group_weights(queries))
                places = _symbols(rows, network.code_weights(queries, groups))
                found = network.code_of_slot[(groups << network.low_bits) + places]
                for row in np.flatnonzero(found < 0):
                    rows[row].is_damaged = True  # a place without a code
                codes[:there, band, frame] = np.maximum(found, 0)
                predictor.enter(known, now, band, codes[:there, band, frame, None])
        blocks = codes.reshape(len(streams), channels, num_bands, -1)
        return [
            block[..., :count] if stream.is_whole() else None
            for block, count, stream in zip(blocks, num_frames, streams, strict=True)
        ]

    def model_of(self, weights: np.ndarray) -> Any:
        """Return constriction's form of the frequencies of one choice."""
        return self._categorical(weights, lazy=True, perfect=False)


class _Stream:
    """A block that is decoded, and encoded again: other bytes than those are damage."""

    def __init__(self, coder: RangeCoder, payload: bytes) -> None:
        self._payload = payload
        self._model_of = coder.model_of
        self.is_damaged = len(payload) % WORD_BYTES > 0
        words = np.frombuffer(payload[: len(payload) // WORD_BYTES * WORD_BYTES], dtype=_WORD)
        self._decoder = coder.queue.RangeDecoder(words.astype(np.uint32))
        self._encoder = coder.queue.RangeEncoder()

    def next_symbol(self, weights: np.ndarray) -> int:
        """Return the next choice; 0 once something was found damaged."""
        if self.is_damaged:
            return 0
        model = self._model_of(weights)
        try:
            symbol = int(self._decoder.decode(model))
        except AssertionError:  # constriction's: a number that no choice has
            self.is_damaged = True
            return 0
        self._encoder.encode(symbol, model)
        return symbol

    def is_whole(self) -> bool:
        """Whether the bytes are those that their codes are encoded to."""
        return not self.is_damaged and _bytes_of(self._encoder) == self._payload


def _symbols(rows: Sequence[_Stream], weights: np.ndarray) -> np.ndarray:
    """Take the next choice of each row by its weights (rows, n)."""
    pairs = zip(rows, weights, strict=False)  # rows that have ended have no weights
    return np.array([stream.next_symbol(row) for stream, row in pairs], dtype=np.int64)


def _bytes_of(encoder: Any) -> bytes:
    return encoder.get_compressed().astype(_WORD).tobytes()
