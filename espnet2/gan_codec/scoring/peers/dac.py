"""DAC at 24 kHz, by Descript's own package and weights."""

import inspect
from typing import TYPE_CHECKING, Any

from espnet2.gan_codec.scoring.metrics.metric import (
    ScoringError,
    UnavailableError,
    one_line,
    optional_module,
)
from espnet2.gan_codec.scoring.peers.neural import STAGE_KBPS, NeuralPeer, quietly

if TYPE_CHECKING:
    import torch

STAGES = 32  # of the 24 kHz model


class DAC(NeuralPeer):
    """The 24 kHz model of the ``descript-audio-codec`` package, with its first codebooks only.

    Args:
        kbps: a multiple of 0.75 up to 24: 10 bits of each codebook, 75 times a second.
        weights: a file of weights; downloaded where there is none.

    Raises:
        UnavailableError: the package or the weights cannot be had.
        ScoringError: another bitrate.
    """

    def __init__(self, kbps: float, weights: str | None = None) -> None:
        self._stages = round(kbps / STAGE_KBPS)
        if self._stages * STAGE_KBPS != kbps or not 1 <= self._stages <= STAGES:
            raise ScoringError(
                f"--peer dac:{kbps:g}: expected a multiple of {STAGE_KBPS} kbit/s up to "
                f"{STAGES * STAGE_KBPS:g}"
            )
        try:
            with quietly():
                library = optional_module("dac", "descript-audio-codec")
        except UnavailableError as error:
            raise UnavailableError(
                "needs the package descript-audio-codec: pip install descript-audio-codec"
            ) from error
        try:
            with quietly():
                path = weights or library.utils.download(model_type="24khz")
                self._model = _load(library.DAC, str(path)).eval()
        except Exception as error:  # the network, torch and the package fail in their own ways
            raise UnavailableError(
                f"the weights of DAC cannot be had ({one_line(error)}): give the file "
                f"weights_24khz.pth as dac:{kbps:g}@FILE"
            ) from error
        self.name = f"dac-{kbps:g}k"
        self.setting = f"dac {getattr(library, '__version__', '')} {weights or ''}".strip()

    def encode(self, audio: "torch.Tensor") -> "torch.Tensor":
        """(1, 1, T) -> (1, K, F)."""
        padded = self._model.preprocess(audio, self._model.sample_rate)
        return self._model.encode(padded, n_quantizers=self._stages)[1]

    def decode(self, codes: "torch.Tensor") -> "torch.Tensor":
        """(1, K, F) -> (1, 1, T')."""
        return self._model.decode(self._model.quantizer.from_codes(codes)[0])


def _load(model_class: Any, path: str) -> Any:
    """Build the network that a file of weights describes.

    The package's own loader would first try to run the file as a torch package, and lets weights
    be missing.
    """
    import torch

    contents = torch.load(path, map_location="cpu", weights_only=True)
    known = inspect.signature(model_class).parameters
    kwargs = {k: v for k, v in contents["metadata"]["kwargs"].items() if k in known}
    model = model_class(**kwargs)
    model.load_state_dict(contents["state_dict"])
    return model
