"""Run what ``onnx_export`` wrote by onnxruntime: for tests, measurements, and as an example."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.onnx_export import (
    DECODER,
    DECODER_STEP,
    ENCODER,
    ENCODER_STEP,
    FACTS,
)


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
            names = [ENCODER, DECODER]
            names += [ENCODER_STEP, DECODER_STEP] if "steps" in self.facts else []
            self._encoder, self._decoder, *self._steps = (
                onnxruntime.InferenceSession(
                    os.fspath(Path(folder, name)), options, ["CPUExecutionProvider"]
                )
                for name in names
            )
        except Exception as error:  # onnxruntime has no common one
            reason = " ".join(str(error).split())[:300]
            raise ModelError(f"{os.fspath(folder)}: no ONNX codec: {reason}") from error

    def encode(self, audio: np.ndarray) -> np.ndarray:
        """Samples (B, T) float32 at the model's rate, B, T >= 1, to codes (B, N, F) int64."""
        audio = np.asarray(audio, np.float32)
        _check_shape("audio", audio, (None, None))
        return self._encoder.run(None, {"audio": audio})[0]

    def decode(self, codes: np.ndarray, num_samples: int | None = None) -> np.ndarray:
        """Codes (B, N, F) int64 to samples (B, num_samples) float32; None: F * hop_length."""
        codes = np.asarray(codes, np.int64)
        self._check_codes(codes)
        return self._decoder.run(None, {"codes": codes})[0][:, :num_samples]

    def _check_codes(self, codes: np.ndarray) -> None:
        sizes = np.array(self.facts["codebook_sizes"])
        _check_shape("codes", codes, (None, len(sizes), None))
        if codes.min() < 0 or (codes >= sizes[:, None]).any():
            raise ValueError(f"codes: expected 0 to size - 1 of the codebooks, {sizes.tolist()}")

    def encode_live(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Whole frames of audio (B, n * hop_length), n >= 1, as they come, to codes (B, N, f).

        The last frame is filled up with zeros.
        """
        session, hop = self._step(0), self.facts["hop_length"]
        return self._live(session, "audio", chunks, _Late(self.facts["steps"], "encoder", hop, 1))

    def decode_live(self, chunks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Codes (B, N, n), n >= 1, as they come, to audio (B, f * hop_length)."""
        session, hop = self._step(1), self.facts["hop_length"]
        return self._live(session, "codes", chunks, _Late(self.facts["steps"], "decoder", 1, hop))

    def _step(self, index: int) -> Any:
        if not self._steps:
            raise ModelError("this ONNX codec has no files for live audio: export it with --steps")
        return self._steps[index]

    def _live(
        self, session: Any, name: str, chunks: Iterable[np.ndarray], late: _Late
    ) -> Iterator[np.ndarray]:
        """Run a step a chunk, and one on zeros after the last, which brings what is late."""
        position, end = 0, self.facts["steps"]["unknown_end"]
        state: np.ndarray | None = None
        rest: np.ndarray | None = None
        for chunk in chain(chunks, [None]):
            if chunk is None:
                if rest is None:
                    return
                chunk, end = rest, position
            elif name == "codes":
                chunk = np.asarray(chunk, np.int64)
                self._check_codes(chunk)
            else:
                chunk = np.asarray(chunk, np.float32)
                _check_shape("audio", chunk, (None, None))
                if chunk.shape[1] % late.given:
                    raise ValueError(f"audio: expected whole frames of {late.given} samples")
            if state is not None and len(state) != len(chunk):
                raise ValueError(f"{name}: a batch of {len(chunk)} after one of {len(state)}")
            if state is None:
                state = np.zeros((len(chunk), late.state), np.float32)
                rest = np.zeros((*chunk.shape[:-1], late.delay * late.given), chunk.dtype)
            numbers = {"position": np.array(position), "end": np.array(end)}
            output, state = session.run(None, {name: chunk, "state": state, **numbers})
            # what was before the signal is left out
            yield output[..., max(0, late.delay - position) * late.returned :]
            position += chunk.shape[-1] // late.given


def _check_shape(name: str, x: np.ndarray, shape: tuple[int | None, ...]) -> None:
    """Raise ValueError for another shape, or an empty one, which onnxruntime may end at."""
    pairs = zip(x.shape, shape, strict=False)
    if x.ndim != len(shape) or x.size == 0 or any(n not in (None, m) for m, n in pairs):
        axes = ", ".join("1 or more" if n is None else str(n) for n in shape)
        raise ValueError(f"{name}: expected the shape ({axes}), got {x.shape}")


class _Late:
    """Of a step: its delay in frames, the size of its state, what a frame has on either side."""

    def __init__(self, steps: dict[str, int], name: str, given: int, returned: int) -> None:
        self.delay, self.state = steps[f"{name}_delay"], steps[f"{name}_state"]
        self.given, self.returned = given, returned
