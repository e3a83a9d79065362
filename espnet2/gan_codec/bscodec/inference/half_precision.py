"""Large products in bfloat16: where there are units for it, and weights that are rounded once.

A product of bfloat16 adds up in float32 and is rounded at its end, some 50 dB below its size.
What loses more than that stays in float32: spectrograms, log gains, the codebook search and its
projection, sines, and the audio's own first or last convolution.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.weak import WeakIdKeyDictionary


def has_bf16_units(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 faster than float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported()
    # processors with AMX have it too
    return device.type == "cpu" and getattr(torch.cpu, "_is_avx512_bf16_supported", bool)()


class RoundedWeights:
    """A network's weights in bfloat16, each rounded when first asked for, and after a change."""

    def __init__(self) -> None:
        self._rounded = WeakIdKeyDictionary()  # of the state in which a weight was, and the result

    def __call__(self, weight: Any) -> Any:
        """Return a tensor in bfloat16, and None, for a bias that is not there, of None."""
        if weight is None:
            return None
        version = 0 if weight.is_inference() else weight._version
        state = (weight.data_ptr(), version, weight.device)
        before, rounded = self._rounded.get(weight, (None, None))
        if before != state:
            rounded = weight.detach().bfloat16()
            self._rounded[weight] = (state, rounded)
        return rounded

    def linear(self, x: torch.Tensor, layer: nn.Linear) -> torch.Tensor:
        """``layer`` of x (..., C) in any precision, in bfloat16."""
        return F.linear(x.bfloat16(), self(layer.weight), self(layer.bias))
