"""ViSQOL: a virtual listener's opinion of speech or of any audio."""

from typing import Literal

import numpy as np

from espnet2.gan_codec.scoring.metrics.metric import (
    ScoringError,
    is_silent,
    optional_module,
    require_sound,
)

WORST = 1.0  # of the scale of opinions
_MIN_SPEECH_SECONDS = 0.5


class ViSQOLAudio:
    """MOS-LQO of ViSQOL 3 in audio mode, at 48 kHz, by the ``visqol-python`` package.

    The mapping is the support vector regression that comes with ViSQOL; equal audio gets 4.732.
    Source: Chinen et al. 2020 (arXiv 2004.09584).
    """

    name = "ViSQOL"
    better: Literal["higher"] = "higher"
    sampling_rate = 48000  # Hz
    _mode = "audio"
    _options: dict[str, bool] = {}

    def __init__(self) -> None:
        library = optional_module("visqol", "visqol-python")
        self._api = library.VisqolApi()
        self._api.create(mode=self._mode, **self._options)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Compare (T,) with (T,).

        Raises:
            ScoringError: a silent reference, to which ViSQOL would find everything equal, or less
                than one patch: about 1 s of audio, 0.5 s of speech.
        """
        require_sound(reference)
        pair = [x.astype(np.float64) for x in (reference, decoded)]
        try:
            if is_silent(decoded):
                self._measure(pair[0], pair[0])  # long enough?
                return WORST
            return self._measure(*pair)
        except (ValueError, IndexError) as error:
            raise ScoringError("too short for ViSQOL, or no patch with sound in it") from error

    def _measure(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        rate = self.sampling_rate
        return float(self._api.measure_from_arrays(reference, decoded, sample_rate=rate).moslqo)


class ViSQOLSpeech(ViSQOLAudio):
    """MOS-LQO of ViSQOL 3 in speech mode, at 16 kHz, by the ``visqol-python`` package.

    The mapping is the exponential one (``use_lattice_model`` off), which gives 5 to equal audio;
    the newer lattice network gives it anything from 4.2 to 4.8.
    """

    name = "ViSQOL_speech"
    sampling_rate = 16000  # Hz
    _mode = "speech"
    _options = {"use_lattice_model": False}

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """As for audio; the limit is 0.5 s."""
        if len(reference) < _MIN_SPEECH_SECONDS * self.sampling_rate:
            require_sound(reference)
            raise ScoringError("too short for ViSQOL, or no patch with sound in it")
        return super().__call__(reference, decoded)
