"""Run what ``onnx_export`` wrote by onnxruntime: for tests, measurements, and as an example."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.onnx_export import DECODER, ENCODER, FACTS


class OnnxCodec:
    """A codec of two ONNX files.

    Args:
        folder: with ``encoder.onnx``, ``decoder.onnx`` and ``model.json``.
        threads: that onnxruntime may use.

    Raises:
        ModelError: onnxruntime is not installed, or a file is missing or damaged.
    """

    def __init__(self, folder: str | os.PathLike, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(
                "onnxruntime is not installed: pip install 'espnet-bscodec[onnx]'"
            ) from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        try:
            self.facts = json.loads(Path(folder, FACTS).read_text(encoding="utf-8"))
            self._encoder, self._decoder = (
                onnxruntime.InferenceSession(
                    os.fspath(Path(folder, name)), options, ["CPUExecutionProvider"]
                )
                for name in (ENCODER, DECODER)
            )
        except Exception as error:  # onnxruntime has no common one
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"{os.fspath(folder)}: no ONNX codec: {reason}") from error

    def encode(self, audio: np.ndarray) -> np.ndarray:
        """Samples (B, T) float32 at the model's rate, T >= 1, to codes (B, N, F) int64."""
        return self._encoder.run(None, {"audio": np.asarray(audio, np.float32)})[0]

    def decode(self, codes: np.ndarray, num_samples: int | None = None) -> np.ndarray:
        """Codes (B, N, F) int64 to samples (B, num_samples) float32; None: F * hop_length."""
        return self._decoder.run(None, {"codes": np.asarray(codes, np.int64)})[0][:, :num_samples]
