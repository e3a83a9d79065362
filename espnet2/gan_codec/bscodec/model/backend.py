"""How a generator's networks are run and its codebooks searched: here, by the modules themselves.

Training and inference have faster ways of the same computation.  They subclass `Backend` and are
handed to the generator when it is built; nothing in this room knows them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from espnet2.gan_codec.bscodec.model.config import FLOAT32
from espnet2.gan_codec.bscodec.model.quantizers import Quantizer


class Backend:
    """The plain way.

    Attributes:
        precision: of the networks' products in inference, where the backend can choose.
    """

    precision = FLOAT32

    def precision_on(self, device: torch.device) -> str:
        """Return the precision that products have on a device."""
        return FLOAT32

    def run(
        self, networks: Sequence[nn.Module], inputs: Sequence[torch.Tensor], num_frames: int
    ) -> list[torch.Tensor]:
        """Return each band's network's output for its input.

        Args:
            networks: of the bands.
            inputs: (B, C, n) float, one a band.
            num_frames: frames of codes that the inputs hold, roughly.
        """
        return [network(x) for network, x in zip(networks, inputs, strict=True)]

    def encode(self, quantizer: Quantizer, latents: Sequence[torch.Tensor]) -> torch.Tensor:
        """Latents (B, D, F) of the lowest bands to codes (B, N, F) int64."""
        return quantizer.encode(latents)
