"""UTMOS: a predicted opinion of how natural speech sounds."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Literal

import numpy as np

from espnet2.gan_codec.scoring.metrics.metric import ScoringError, UnavailableError, one_line

REPOSITORY = "tarepan/SpeechMOS:v1.2.0"
MODEL = "utmos22_strong"
MIN_SAMPLES = 1600  # 0.1 s at 16 kHz; its network takes no less
TIMEOUT = 20  # seconds, for an answer of the hub
PACKAGE = "speechmos"  # of its code, and of DNSMOS's on PyPI


class UTMOS:
    """UTMOS22 (strong learner) of SpeechMOS, at 16 kHz, of the decoded audio alone; 1 to 5.

    Loading runs the repository's own code: ``torch.hub`` gets it from GitHub at a fixed version
    the first time, weights included.

    Args:
        source: a repository as torch.hub takes it, or a local copy of one.

    Source: Saeki et al. 2022 (arXiv 2204.02152).

    Raises:
        UnavailableError: neither code nor weights can be had.
    """

    name = "UTMOS"
    better: Literal["higher"] = "higher"
    sampling_rate = 16000  # Hz

    def __init__(self, source: str = REPOSITORY) -> None:
        import torch

        place = "local" if Path(source).is_dir() else "github"
        patience = socket.getdefaulttimeout()
        socket.setdefaulttimeout(TIMEOUT)
        try:
            with _its_own_package():
                self._predict = torch.hub.load(
                    *(source, MODEL),
                    source=place,
                    trust_repo=True,
                    skip_validation=True,
                    verbose=False,
                ).eval()
        except Exception as error:  # a foreign hubconf.py may raise anything
            raise UnavailableError(
                f"{MODEL} of {source} cannot be had ({one_line(error)}): "
                "give a local copy of the repository as --utmos"
            ) from error
        finally:
            socket.setdefaulttimeout(patience)

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Score ``decoded`` (T,). Raises ScoringError below 0.1 s."""
        import torch

        if len(decoded) < MIN_SAMPLES:
            raise ScoringError("too short for UTMOS")
        with torch.inference_mode():
            return float(self._predict(torch.from_numpy(decoded)[None], self.sampling_rate))


@contextmanager
def _its_own_package() -> Iterator[None]:
    """Let ``speechmos`` be the repository's for a while, not the package that DNSMOS is in.

    The repository has no ``__init__.py``, so Python would prefer any installed package.
    """
    before = _take_out_package()
    finder = _PackageOfRepository()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        _take_out_package()
        sys.modules.update(before)


def _take_out_package() -> dict:
    """Forget the modules of that name that are loaded, and return them."""
    names = [n for n in sys.modules if n == PACKAGE or n.startswith(f"{PACKAGE}.")]
    return {name: sys.modules.pop(name) for name in names}


class _PackageOfRepository:
    """Finds PACKAGE in the repository, the first folder of ``sys.path`` while torch.hub loads."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        folder = os.path.join(sys.path[0], PACKAGE)
        if name != PACKAGE or not os.path.isdir(folder):
            return None
        spec = ModuleSpec(name, None, is_package=True)
        spec.submodule_search_locations = [folder]
        return spec
