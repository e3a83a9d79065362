"""Training form of the code predictor's networks, in floats that are rounded to its integers."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.entropy.integer_network import (
    HIDDEN_SHIFT,
    INPUT_SHIFT,
    LOGIT_SHIFT,
    LOGIT_STEPS,
    MAX_DROP,
    MAX_INT8,
)
from espnet2.gan_codec.bscodec.entropy.predictor import PAST

WIDTH = 384
KEY = 48  # dimension in which a context is compared with groups and codes
# Bits below the binary point. What is left of them is what the integers are shifted by.
VECTOR_BITS, WEIGHT_BITS, ACTIVATION_BITS, KEY_BITS = 5, 8, 4, 6
LOGIT_BITS = LOGIT_STEPS.bit_length() - 1
assert VECTOR_BITS + WEIGHT_BITS - ACTIVATION_BITS == INPUT_SHIFT
assert WEIGHT_BITS == HIDDEN_SHIFT
assert ACTIVATION_BITS + KEY_BITS - LOGIT_BITS == LOGIT_SHIFT


def codebook_order(vectors: torch.Tensor) -> torch.Tensor:
    """Indices of vectors (K, d), halved again and again along what they differ in most.

    Neighbours in this order are alike, and so are the codes of a group.
    """

    def halve(indices: torch.Tensor) -> torch.Tensor:
        if len(indices) < 2:
            return indices
        centred = vectors[indices] - vectors[indices].mean(0)
        axis = torch.linalg.eigh(centred.T @ centred).eigenvectors[:, -1]
        ordered = indices[(centred @ axis).argsort(stable=True)]
        half = (len(indices) + 1) // 2
        return torch.cat([halve(ordered[:half]), halve(ordered[half:])])

    return halve(torch.arange(len(vectors)))


def to_int8(values: torch.Tensor, bits: int) -> torch.Tensor:
    """Values as integers of 8 bits, with so many bits below the binary point."""
    return (values * 2**bits).round().clamp(-MAX_INT8, MAX_INT8)


class BandNetwork(nn.Module):
    """Probabilities of one band's codes.

    Args:
        vectors: what the codes of this and the lower bands stand for, (K, d) each, of about unit
            variance.
        rounds: round weights and activations as the integer network does; gradients pass.
    """

    def __init__(self, vectors: list[torch.Tensor], rounds: bool = True) -> None:
        super().__init__()
        self.rounds = rounds
        own = vectors[-1]
        size, dim = own.shape
        bits = (size - 1).bit_length()
        self.low_bits = bits // 2
        groups, places = 1 << (bits - self.low_bits), 1 << self.low_bits
        self.vectors = [to_int8(v, VECTOR_BITS) / 2**VECTOR_BITS for v in vectors]
        order = codebook_order(own)
        self.slots = torch.empty_like(order)
        self.slots[order] = (torch.arange(size) << bits) // size  # spread where K is no 2^bits
        self.placed = torch.zeros(1 << bits, dim)  # vectors by their slots
        self.placed[self.slots] = self.vectors[-1]
        lower = sum(v.shape[1] for v in vectors[:-1])
        self.input = nn.Linear(PAST * (lower + dim) + lower, WIDTH)
        self.hidden = nn.Linear(WIDTH, WIDTH)
        self.query = nn.Linear(WIDTH, 2 * KEY)
        self.groups = nn.Linear(KEY, groups)
        self.offsets = nn.Parameter(torch.zeros(groups, KEY))
        self.key = nn.Linear(dim, KEY)  # of a code, by what it stands for ...
        self.own_keys = nn.Parameter(torch.zeros(groups, places, KEY))  # ... and its own
        self.code_bias = nn.Parameter(torch.zeros(groups, places))

    def code_keys(self) -> torch.Tensor:
        """(groups, places, KEY)."""
        return self.key(self.placed).view_as(self.own_keys) + self.own_keys

    def forward(self, codes: torch.Tensor, times: torch.Tensor) -> torch.Tensor:
        """Bits of the band's codes at ``times`` (B,) of codes (frames, bands): (B,).

        Codes are -1 where there are none.
        """
        windows = codes[times[:, None] + torch.arange(-PAST, 1)]
        shown = [
            v[windows[:, :, band]] * (windows[:, :, band, None] >= 0)
            for band, v in enumerate(self.vectors)
        ]
        past = torch.cat(shown, dim=2)[:, :-1].flatten(1)
        hidden = torch.cat([past, *(v[:, -1] for v in shown[:-1])], dim=1)
        for layer in (self.input, self.hidden):
            hidden = self._activation(self._layer(layer, hidden), 0)
        group_query, code_query = self._layer(self.query, hidden).split(KEY, dim=1)
        slots = self.slots[windows[:, -1, len(self.vectors) - 1]]
        groups, places = slots >> self.low_bits, slots & ((1 << self.low_bits) - 1)
        group_query = self._activation(group_query, -MAX_INT8)
        code_query = self._activation(code_query + self.offsets[groups], -MAX_INT8)
        group_keys = self._weight(self.groups.weight, KEY_BITS)
        group_logits = F.linear(group_query, group_keys, self.groups.bias)
        keys = self._weight(self.code_keys(), KEY_BITS)[groups]
        code_logits = (keys @ code_query[:, :, None])[:, :, 0] + self.code_bias[groups]
        return self._bits(group_logits, groups) + self._bits(code_logits, places)

    def _layer(self, layer: nn.Linear, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self._weight(layer.weight, WEIGHT_BITS), layer.bias)

    def _weight(self, weight: torch.Tensor, bits: int) -> torch.Tensor:
        if not self.rounds:
            return weight
        return weight + (to_int8(weight, bits) / 2**bits - weight).detach()

    def _activation(self, x: torch.Tensor, lowest: int) -> torch.Tensor:
        step = 2**-ACTIVATION_BITS
        x = x.clamp(lowest * step, MAX_INT8 * step)
        return x + ((x / step).round() * step - x).detach() if self.rounds else x

    def _bits(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """-log2 of a probability by logits (B, n) in bits, none far below the highest."""
        lowest = logits.amax(1, keepdim=True) - MAX_DROP / LOGIT_STEPS
        logits = torch.maximum(logits, lowest).float() * math.log(2)
        return F.cross_entropy(logits, targets, reduction="none") / math.log(2)

    @torch.no_grad()
    def integers(self) -> dict[str, np.ndarray]:
        """The tensors of an ``IntegerNetwork``."""
        sums = ACTIVATION_BITS + WEIGHT_BITS
        logits = ACTIVATION_BITS + KEY_BITS
        found = {
            "vectors": to_int8(self.vectors[-1], VECTOR_BITS),
            "slots": self.slots,
            "input.weight": to_int8(self.input.weight, WEIGHT_BITS),
            "input.bias": self.input.bias * 2 ** (VECTOR_BITS + WEIGHT_BITS),
            "hidden.weight": to_int8(self.hidden.weight, WEIGHT_BITS),
            "hidden.bias": self.hidden.bias * 2**sums,
            "query.weight": to_int8(self.query.weight, WEIGHT_BITS),
            "query.bias": self.query.bias * 2**sums,
            "groups.weight": to_int8(self.groups.weight, KEY_BITS),
            "groups.bias": self.groups.bias * 2**logits,
            "offsets": self.offsets * 2**ACTIVATION_BITS,
            "codes.weight": to_int8(self.code_keys(), KEY_BITS),
            "codes.bias": self.code_bias * 2**logits,
        }
        kinds = {
            name: np.int8 if name == "vectors" or name.endswith(".weight") else np.int32
            for name in found
        }
        return {name: v.round().numpy().astype(kinds[name]) for name, v in found.items()}
