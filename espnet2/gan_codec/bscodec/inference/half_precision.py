"""Large products in bfloat16: where there are units for it, and weights that are rounded once.

A product of bfloat16 adds up in float32 and is rounded at its end, some 50 dB below its size.
What loses more than that stays in float32: spectrograms, log gains, the codebook search and its
projection, sines, and the audio's own first or last convolution.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F


def has_bf16_units(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # processors with AMX have it too
    return device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()


class RoundedWeights:
    """A network's weights in bfloat16, each rounded when first asked for, and after a change."""

    def __init__(self) -> None:
        self._rounded: dict[int, tuple[tuple, torch.Tensor]] = {}

    def __call__(self, weight: torch.Tensor | None) -> torch.Tensor | None:
        """Return ``weight`` in bfloat16; None of None."""
        if weight is None:
            return None
        version = 0 if weight.is_inference() else weight._version
        state = (weight.data_ptr(), version, weight.device)
        before, rounded = self._rounded.get(id(weight), (None, weight))
        if before != state:
            rounded = weight.detach().bfloat16()
            self._rounded[id(weight)] = (state, rounded)
        return rounded

    def linear(self, x: torch.Tensor, layer: nn.Linear) -> torch.Tensor:
        """``layer`` of x (..., C) in any precision, in bfloat16."""
        return F.linear(x.bfloat16(), self(layer.weight), self(layer.bias))
