"""DNSMOS: a predicted opinion of the quality of speech."""

from pathlib import Path
from typing import Literal

import numpy as np

from espnet2.gan_codec.scoring.metrics.metric import optional_module


class DNSMOS:
    """Overall quality (OVRL) of DNSMOS P.835, at 16 kHz, of the decoded audio alone; 1 to 5.

    By the ``speechmos`` package, whose networks come with it. Audio shorter than 9 s is repeated
    to that length, as Microsoft's own script does; samples beyond full scale are cut off there.

    Source: Reddy et al. 2022 (arXiv 2110.01763).
    """

    name = "DNSMOS"
    better: Literal["higher"] = "higher"
    sampling_rate = 16000  # Hz

    def __init__(self) -> None:
        onnx = optional_module("onnxruntime", "onnxruntime")
        library = optional_module("speechmos.dnsmos", "speechmos")
        folder = Path(str(library.__file__)).parent / "dnsmos_models"
        paths = [str(folder / name) for name in ("sig_bak_ovr.onnx", "model_v8.onnx")]
        self._model = library.DNSMOS(*paths)
        options = onnx.SessionOptions()  # the package leaves it to use every core
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._model.onnx_sess, self._model.p808_onnx_sess = (
            onnx.InferenceSession(path, options, providers=["CPUExecutionProvider"])
            for path in paths
        )

    def __call__(self, reference: np.ndarray, decoded: np.ndarray) -> float:
        """Score ``decoded`` (T,)."""
        audio = np.clip(decoded, -1, 1)
        return float(self._model(audio, self.sampling_rate, False)["ovrl_mos"])
