"""EnCodec at 24 kHz, by Meta's own package and weights."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet2.gan_codec.scoring.metrics.metric import (
    ScoringError,
    UnavailableError,
    one_line,
    optional_module,
)
from espnet2.gan_codec.scoring.peers.neural import NeuralPeer, quietly

if TYPE_CHECKING:
    import torch

BANDWIDTHS = (1.5, 3.0, 6.0, 12.0, 24.0)  # kbit/s


class EnCodec(NeuralPeer):
    """The causal model of the ``encodec`` package.

    Args:
        kbps: one of BANDWIDTHS.
        weights: a folder with the package's checkpoint, whose checksum the package looks at, or
            a file with any weights for the same network; downloaded where there is none.

    Raises:
        UnavailableError: the package or the weights cannot be had.
        ScoringError: another bitrate.
    """

    def __init__(self, kbps: float, weights: str | None = None) -> None:
        if kbps not in BANDWIDTHS:
            rates = ", ".join(f"{b:g}" for b in BANDWIDTHS)
            raise ScoringError(f"--peer encodec:{kbps:g}: expected one of {rates} kbit/s")
        try:
            library = optional_module("encodec", "encodec")
        except UnavailableError as error:
            raise UnavailableError("needs the package encodec: pip install encodec") from error
        try:
            with quietly():
                self._model = _load(library.EncodecModel, Path(weights) if weights else None)
        except Exception as error:  # the network, torch and the package fail in their own ways
            raise UnavailableError(
                f"the weights of EnCodec cannot be had ({one_line(error)}): give a folder with "
                f"encodec_24khz-d7cc33bc.th as encodec:{kbps:g}@FOLDER"
            ) from error
        self._model.set_target_bandwidth(kbps)
        self.name = f"encodec-{kbps:g}k"
        self.setting = f"encodec {getattr(library, '__version__', '')} {weights or ''}".strip()

    def encode(self, audio: "torch.Tensor") -> "torch.Tensor":
        """(1, 1, T) -> (1, K, F)."""
        return self._model.encode(audio)[0][0]

    def decode(self, codes: "torch.Tensor") -> "torch.Tensor":
        """(1, K, F) -> (1, 1, T')."""
        return self._model.decode([(codes, None)])


def _load(model_class: Any, weights: Path | None) -> Any:
    if weights is None or weights.is_dir():
        return model_class.encodec_model_24khz(repository=weights)
    import torch

    model = model_class.encodec_model_24khz(pretrained=False)
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model
