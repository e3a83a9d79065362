"""SPK_SIM: whether the decoded voice is still the speaker's."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Literal

import numpy as np

from espnet2.gan_codec.scoring.metrics.metric import (
    ScoringError,
    UnavailableError,
    is_silent,
    one_line,
    optional_module,
    require_sound,
)

PAPER_MODEL = "espnet/voxcelebs12_rawnet3"
CONFIG = "config.yaml"
MIN_VOICE_SECONDS = 0.3  # Resemblyzer looks for voice in so many windows of 30 ms


class SpeakerSimilarity:
    """Cosine of the angle between speaker embeddings of ESPnet-SPK, at 16 kHz.

    Args:
        model: a Hugging Face name, or a folder with a ``config.yaml`` and one ``.pth`` file of
            weights. The default is the model that VERSA takes, and so the paper.

    Raises:
        UnavailableError: the model cannot be had.
    """

    name = "SPK_SIM"
    better: Literal["higher"] = "higher"
    sampling_rate = 16000  # Hz

    def __init__(self, model: str = PAPER_MODEL) -> None:
        self._embed = _load_espnet_model(model)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,). Raises ScoringError for a silent reference."""
        require_sound(reference)
        return cosine(*(self._embed(x).numpy().ravel() for x in (reference, decoded)))


class ResemblyzerSimilarity:
    """Cosine of the angle between embeddings of Resemblyzer's GE2E voice encoder, at 16 kHz.

    Its weights come with the package, so it is there where the paper's model is not; values of the
    two are not to be compared. Audio is prepared as the package says: levelled, pauses taken out.

    Source: Wan et al. 2018 (arXiv 1710.10467).
    """

    name = "SPK_SIM_resemblyzer"
    better: Literal["higher"] = "higher"
    sampling_rate = 16000  # Hz

    def __init__(self) -> None:
        self._library = optional_module("resemblyzer", "resemblyzer")
        self._encoder = self._library.VoiceEncoder("cpu", verbose=False)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,).

        Raises:
            ScoringError: a silent reference, or no voice found in it.
        """
        require_sound(reference)
        if len(reference) < MIN_VOICE_SECONDS * self.sampling_rate:
            raise ScoringError("too short to tell a speaker")
        prepare = self._library.preprocess_wav
        voices = [x[:0] if is_silent(x) else prepare(x) for x in (reference, decoded)]
        if not len(voices[0]):
            raise ScoringError("no voice found in the reference")
        if not len(voices[1]):
            return 0.0
        return cosine(*map(self._encoder.embed_utterance, voices))


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    """Cosine of the angle between (D,) and (D,); 0 where one of them has no direction."""
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / norm, -1, 1)) if norm > 0 else 0.0


def _load_espnet_model(model: str) -> Callable:
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):  # they chatter
            import torch

            from espnet2.bin.spk_inference import Speech2Embedding

            files = _find_files(model)
            # ESPnet unpickles the file: only one of nothing but tensors may get there. It also
            # lets weights be missing.
            weights = torch.load(files["model_file"], map_location="cpu", weights_only=True)
            embed = Speech2Embedding(**files)
            lacking = [
                key
                for key in embed.spk_model.state_dict()
                if not key.startswith("loss.") and key not in weights
            ]
            if lacking:
                raise UnavailableError(f"its weights lack {lacking[0]}")
            return embed
    except Exception as error:  # the hub, ESPnet and torch each fail in their own ways
        raise UnavailableError(
            f"the speaker model {model} cannot be had ({one_line(error)}): give a folder with "
            f"{CONFIG} and a .pth file as --speaker-model"
        ) from error


def _find_files(model: str) -> dict[str, str]:
    folder = Path(model)
    if folder.is_dir():
        return {"train_config": str(folder / CONFIG), "model_file": str(_only_weights(folder))}
    from espnet_model_zoo.downloader import ModelDownloader

    found = ModelDownloader().download_and_unpack(model)
    return {name: str(found[name]) for name in ("train_config", "model_file")}


def _only_weights(folder: Path) -> Path:
    found = sorted(folder.glob("*.pth"))
    if len(found) != 1:
        raise UnavailableError(f"expected one .pth file, found {len(found)}")
    return found[0]
