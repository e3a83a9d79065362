"""Multi-scale discriminators, chosen by the key that configures them.

``msmpmb_discriminator_params``: the published multi-scale, multi-period, multi-band one (DAC).
``msstft_discriminator_params``: a light complex multi-scale STFT one (EnCodec, arXiv 2210.13438)
that a CPU can train; ``filters`` sets its width.  Both are ESPnet's.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from espnet2.gan_codec.bscodec.model.checks import check_keys
from espnet2.gan_codec.dac.dac import DACDiscriminator
from espnet2.gan_codec.shared.discriminator.msmpmb_discriminator import (
    MultiScaleMultiPeriodMultiBandDiscriminator,
)
from espnet2.gan_codec.shared.discriminator.msstft_discriminator import (
    DiscriminatorSTFT,
    MultiScaleSTFTDiscriminator,
)

FeatureMaps = list[list[torch.Tensor]]  # of each sub-discriminator, its decision last

LIGHT_DEFAULTS = dict(
    filters=16,
    n_ffts=[1024, 512, 256],
    hop_lengths=[256, 128, 64],
    win_lengths=[1024, 512, 256],
)

_CLASSES = {
    "msstft_discriminator_params": (MultiScaleSTFTDiscriminator, DiscriminatorSTFT),
    "msmpmb_discriminator_params": (MultiScaleMultiPeriodMultiBandDiscriminator,),
}


def _names(*callables: type) -> set[str]:
    names = {n for c in callables for n in inspect.signature(c).parameters}
    return names - {"self", "kwargs"}


class LightDiscriminator(nn.Module):
    """ESPnet's multi-scale STFT discriminator under a name of its own in the state dict."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        super().__init__()
        self.msstft_discriminator = MultiScaleSTFTDiscriminator(**{**LIGHT_DEFAULTS, **params})

    def forward(self, x: torch.Tensor) -> FeatureMaps:
        """(B, 1, T) to a list, one a scale, of feature maps that end with the decision."""
        return self.msstft_discriminator(x)


def check_discriminator_keys(params: Mapping[str, Any]) -> None:
    """Check the chosen discriminator's own keys without building it. Raises ConfigError."""
    for choice, classes in _CLASSES.items():
        if choice in params:
            key = f"discriminator_params.{choice}"
            check_keys(key, params[choice] or {}, sorted(_names(*classes)))


def build_discriminator(params: Mapping[str, Any]) -> nn.Module:
    """Build the discriminator that ``codec_conf.discriminator_params`` describes.

    Each takes (B, 1, T) and returns a list of lists of feature maps, the decision last.

    Raises:
        ConfigError: on an unknown key.
    """
    check_discriminator_keys(params)
    if "msstft_discriminator_params" in params:
        light = params["msstft_discriminator_params"] or {}
        return _activate_in_place(LightDiscriminator(light))
    return _activate_in_place(DACDiscriminator(**params))


def _activate_in_place(discriminator: nn.Module) -> nn.Module:
    """Let each LeakyReLU overwrite the convolution's output before it, which nothing else needs.

    Training then keeps one signal a layer in place of two.
    """
    for module in discriminator.modules():
        if isinstance(module, nn.LeakyReLU) and module.negative_slope > 0:
            module.inplace = True
    return discriminator
