"""A model's code predictor: one integer network a band, read from a file of its own."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from itertools import accumulate

import numpy as np

from espnet2.gan_codec.bscodec.entropy.integer_network import IntegerNetwork
from espnet2.gan_codec.bscodec.format.files import require_regular

PAST = 6  # frames before the one that is predicted
KIND = "bscodec code predictor 1"
MAX_FILE_BYTES = 1 << 26


class PredictorError(ValueError):
    """No code predictor, or a damaged one: one line."""


class Predictor:
    """Networks of all bands of a model.

    A band's network sees what the codes of that band and the lower ones stand for, of six frames
    before, and of the lower bands' in the same frame. So it does not matter whether a file has
    higher bands.

    Attributes:
        networks: one a band, lowest first.
        model: fingerprint of the model that the codes are of, 64 hex digits.
        fingerprint: 64 hex digits.

    Raises:
        ValueError: tensors that are no predictor's.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], model: str) -> None:
        self.model, self.fingerprint = model, fingerprint(tensors)
        names = {int(name.partition(".")[0]) for name in tensors}
        if not names or names != set(range(len(names))):
            raise ValueError("bands are missing")
        self.networks: list[IntegerNetwork] = []
        lower = 0
        for band in range(len(names)):
            prefix = f"{band}."
            own = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            network = IntegerNetwork(own, PAST, lower)
            self.networks.append(network)
            lower += network.dim
        self.ends = list(accumulate(network.dim for network in self.networks))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Predictor:
        """Read the file that the recipe's ``study/code_entropy.py`` writes.

        Raises:
            PredictorError: it is none, or damaged.
            OSError: it cannot be read.
        """
        from safetensors import safe_open

        require_regular(path)
        if os.path.getsize(path) > MAX_FILE_BYTES:
            raise PredictorError(f"{os.fspath(path)}: too large for a code predictor")
        try:
            with safe_open(path, "numpy") as file:
                about = file.metadata() or {}
                if about.get("kind") != KIND:
                    raise ValueError(f"no '{KIND}'")
                tensors = {name: file.get_tensor(name) for name in file.keys()}
            return cls(tensors, about.get("model", ""))
        except OSError:
            raise
        except Exception as error:  # safetensors has its own, of no common kind
            reason = " ".join(str(error).split())[:200]
            raise PredictorError(f"{os.fspath(path)}: no code predictor: {reason}") from error

    @property
    def codebook_sizes(self) -> tuple[int, ...]:
        return tuple(network.num_codes for network in self.networks)

    def no_vectors(self, rows: int, num_frames: int) -> np.ndarray:
        """Return room for what codes stand for, zeros before the first frame."""
        return np.zeros((rows, PAST + num_frames, self.ends[-1]), dtype=np.float32)

    def enter(self, vectors: np.ndarray, frames: range, band: int, codes: np.ndarray) -> None:
        """Put what codes (rows, len(frames)) of a band stand for into ``vectors``."""
        network, end = self.networks[band], self.ends[band]
        place = vectors[:, PAST + frames.start : PAST + frames.stop, end - network.dim : end]
        place[...] = network.vectors[codes]

    def context(self, vectors: np.ndarray, frames: range, band: int) -> np.ndarray:
        """Return what a band's network sees of ``vectors`` (rows, PAST + F, D).

        Returns:
            (rows * len(frames), inputs): frame after frame the past ones, the oldest first, then
            the lower bands of the frame.
        """
        end = self.ends[band]
        lower = end - self.networks[band].dim
        size = len(frames)
        past = [vectors[:, frames.start + i : frames.start + i + size, :end] for i in range(PAST)]
        now = vectors[:, frames.start + PAST : frames.start + PAST + size, :lower]
        return np.concatenate([*past, now], axis=2).reshape(len(vectors) * size, -1)


def fingerprint(tensors: Mapping[str, np.ndarray]) -> str:
    """Return the SHA-256 of names, shapes and little-endian values (``docs/bitstream.md``)."""
    digest = hashlib.sha256()
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {tuple(value.shape)}\n".encode())
        digest.update(np.ascontiguousarray(value, value.dtype.newbyteorder("<")).tobytes())
    return digest.hexdigest()
