"""The backend of a model that is trained: fused operations with gradients, else inference's."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from espnet2.gan_codec.bscodec.inference.backend import FastBackend
from espnet2.gan_codec.bscodec.training import fused_seanet


class TrainingBackend(FastBackend):
    """Networks in training mode by :mod:`.fused_seanet` where it supports them."""

    def run(
        self, networks: Sequence[nn.Module], inputs: Sequence[torch.Tensor], num_frames: int
    ) -> list[torch.Tensor]:
        """See :class:`~espnet2.gan_codec.bscodec.model.backend.Backend`."""
        pairs = list(zip(networks, inputs, strict=True))
        if all(network.training and fused_seanet.supports(network, x) for network, x in pairs):
            return [fused_seanet.run(network, x) for network, x in pairs]
        return super().run(networks, inputs, num_frames)
