"""The network that predicts one band's codes, in integers alone (``docs/bitstream.md``).

Weights are integers of 8 bits, activations of 7 and a sign, and every product and sum of them is a
whole number below 2^24: a float32 holds it exactly, in whatever order a BLAS adds. So all machines
have the same probabilities.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

PRECISION = 24  # bits of a frequency: those of one choice sum to 2^24
MAX_INT8 = 127
INPUT_SHIFT, HIDDEN_SHIFT, LOGIT_SHIFT = 9, 8, 6  # by which sums are brought back to 8 bits
LOGIT_STEPS = 16  # of a logit to a bit
MAX_DROP = 12 * LOGIT_STEPS  # a choice is at most 2^12 times as likely as another
MAX_BIAS = 1 << 29
_EXACT = 1 << 24  # sums below it are exact in float32
_POWER_BITS = 16
_SCALE_BITS = 20


def _power(drop: int) -> int:
    """2^(16 - drop / 16), rounded down: the sixteenth root of an integer."""
    value = 1 << (_POWER_BITS * LOGIT_STEPS - drop)
    for _ in range(LOGIT_STEPS.bit_length() - 1):
        value = math.isqrt(value)
    return value


POWERS = np.array([_power(drop) for drop in range(MAX_DROP + 1)], dtype=np.int64)


class Layer:
    """Weights (..., outputs, inputs) int8 and a bias (..., outputs) int32, and their sums."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray) -> None:
        exact = weight.shape[-1] * MAX_INT8**2 < _EXACT
        self.weight = weight.astype(np.float32 if exact else np.float64)
        self.bias = bias.astype(np.int32)

    def sums(self, x: np.ndarray, shift: int) -> np.ndarray:
        """(M, inputs) of integers to (M, outputs) int32, over 2^shift and rounded."""
        return rounded((x @ self.weight.T).astype(np.int32) + self.bias, shift)

    def sums_of(self, x: np.ndarray, which: np.ndarray, shift: int) -> np.ndarray:
        """The same by one of several layers, which[m], for each x[m]."""
        sums = (self.weight[which] @ x[:, :, None])[:, :, 0]
        return rounded(sums.astype(np.int32) + self.bias[which], shift)


class IntegerNetwork:
    """Frequencies of one band's codes: of groups of codes first, then of those in a group.

    Args:
        tensors: ``vectors`` (K, D) int8, what codes stand for; ``slots`` (K,) int32, a code's
            place among 2^bits, of which the high bits are its group; ``input``, ``hidden``,
            ``query``, ``groups`` and ``codes``, each with ``.weight`` int8 and ``.bias`` int32;
            ``offsets`` (groups, E) int32.
        num_past: frames before the one that is predicted.
        num_lower: dimensions of all lower bands' vectors.

    Raises:
        ValueError: tensors of other types, shapes or ranges.
    """

    def __init__(self, tensors: Mapping[str, np.ndarray], num_past: int, num_lower: int) -> None:
        self.vectors = _tensor(tensors, "vectors", np.int8, 2)
        size, dim = self.vectors.shape
        self.num_codes, self.dim = size, dim
        bits = (size - 1).bit_length()
        self.low_bits = bits // 2
        num_groups, group_size = 1 << (bits - self.low_bits), 1 << self.low_bits
        _require(size >= 4, "vectors")
        self.slots = _tensor(tensors, "slots", np.int32, 1)
        self.code_of_slot = np.full(1 << bits, -1, dtype=np.int64)
        _require(len(self.slots) == size and 0 <= self.slots.min(), "slots")
        _require(self.slots.max() < 1 << bits, "slots")
        self.code_of_slot[self.slots] = np.arange(size)
        _require((self.code_of_slot >= 0).sum() == size, "slots")
        width = _tensor(tensors, "input.bias", np.int32, 1).size
        depth = _tensor(tensors, "offsets", np.int32, 2).shape[1]
        inputs = num_past * (num_lower + dim) + num_lower
        self.input = _layer(tensors, "input", (width, inputs))
        self.hidden = _layer(tensors, "hidden", (width, width))
        self.query = _layer(tensors, "query", (2 * depth, width))
        self.groups = _layer(tensors, "groups", (num_groups, depth))
        self.codes = _layer(tensors, "codes", (num_groups, group_size, depth))
        self.offsets = tensors["offsets"]
        _require(self.offsets.shape == (num_groups, depth), "offsets")
        self.depth = depth

    def queries(self, context: np.ndarray) -> np.ndarray:
        """Context (M, inputs) of integers to what groups and codes are compared with (M, 2 E)."""
        hidden = clipped(self.input.sums(context, INPUT_SHIFT), 0)
        hidden = clipped(self.hidden.sums(hidden, HIDDEN_SHIFT), 0)
        return self.query.sums(hidden, HIDDEN_SHIFT)

    def group_weights(self, queries: np.ndarray) -> np.ndarray:
        """Queries (M, 2 E) to the weights (M, groups) of every group."""
        query = clipped(queries[:, : self.depth], -MAX_INT8)
        return weights(self.groups.sums(query, LOGIT_SHIFT))

    def code_weights(self, queries: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Queries (M, 2 E) and groups (M,) to the weights (M, codes of a group)."""
        query = clipped(queries[:, self.depth :] + self.offsets[groups], -MAX_INT8)
        return weights(self.codes.sums_of(query, groups, LOGIT_SHIFT))


def rounded(sums: np.ndarray, shift: int) -> np.ndarray:
    """Sums over 2^shift, halves rounded up."""
    return (sums + (1 << (shift - 1))) >> shift


def clipped(values: np.ndarray, lowest: int) -> np.ndarray:
    """Integers of 8 bits as floats, for a product."""
    return np.clip(values, lowest, MAX_INT8).astype(np.float32)


def weights(logits: np.ndarray) -> np.ndarray:
    """Turn logits (M, n) of 1/16 bit into frequencies less one: integers that sum to 2^24 - n."""
    count = logits.shape[1]
    best = logits.argmax(axis=1)
    rows = np.arange(len(logits))
    powers = POWERS[np.minimum(logits[rows, best][:, None] - logits, MAX_DROP)]
    free = (1 << PRECISION) - count
    scale = (free << _SCALE_BITS) // powers.sum(axis=1, keepdims=True)
    found = (powers * scale) >> _SCALE_BITS
    found[rows, best] += free - found.sum(axis=1)
    return found.astype(np.float32)


def _require(condition: bool | np.bool_, name: str) -> None:
    if not condition:
        raise ValueError(f"{name} is no tensor of a predictor")


def _tensor(
    tensors: Mapping[str, np.ndarray], name: str, dtype: type, num_axes: int
) -> np.ndarray:
    """Return a tensor of that type; int8 is never -128, so that products keep within 2^14."""
    tensor = tensors.get(name)
    if tensor is None:
        raise ValueError(f"{name} is missing")
    _require(tensor.dtype == dtype and tensor.ndim == num_axes and tensor.size > 0, name)
    bound = MAX_INT8 if dtype is np.int8 else MAX_BIAS
    _require(tensor.min() >= -bound and tensor.max() <= bound, name)
    return tensor


def _layer(tensors: Mapping[str, np.ndarray], name: str, shape: tuple[int, ...]) -> Layer:
    weight = _tensor(tensors, f"{name}.weight", np.int8, len(shape))
    bias = _tensor(tensors, f"{name}.bias", np.int32, len(shape) - 1)
    _require(weight.shape == shape and bias.shape == shape[:-1], name)
    return Layer(weight, bias)
