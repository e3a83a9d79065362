"""Codecs of other packages, at the sizes that they are published in and with random weights."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Iterator

import numpy as np
import torch

from benchmarks.coders import Coder, WholeSignal
from espnet2.gan_codec.scoring.metrics.metric import UnavailableError, optional_module
from espnet2.gan_codec.scoring.peers.neural import quietly

STAGES = 8  # codebooks of 1024 codes at 75 frames/s: 6 kbit/s
OPUS_KBPS = 12


class EnCodecPackage(WholeSignal):
    """The 24 kHz model of the package ``encodec``, at 6 kbit/s.

    Raises:
        UnavailableError: it is not installed.
    """

    codebook_sizes = [1024] * STAGES

    def __init__(self) -> None:
        package = _package("encodec", "encodec")
        self.model = package.EncodecModel.encodec_model_24khz(pretrained=False).eval()
        self.model.set_target_bandwidth(6.0)

    def encode_signal(self, audio: torch.Tensor) -> torch.Tensor:
        return self.model.encode(audio)[0][0]

    def decode_signal(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.decode([(codes, None)])


class DACPackage(WholeSignal):
    """The 24 kHz model of the package ``descript-audio-codec``, at 6 kbit/s.

    Raises:
        UnavailableError: it is not installed.
    """

    codebook_sizes = [1024] * STAGES

    def __init__(self) -> None:
        package = _package("dac", "descript-audio-codec")
        self.model = package.DAC(
            encoder_rates=[2, 4, 5, 8], decoder_rates=[8, 5, 4, 2], n_codebooks=32,
            sample_rate=24000,
        ).eval()  # fmt: skip

    def encode_signal(self, audio: torch.Tensor) -> torch.Tensor:
        padded = self.model.preprocess(audio, self.sampling_rate)
        return self.model.encode(padded, n_quantizers=STAGES)[1]

    def decode_signal(self, codes: torch.Tensor) -> torch.Tensor:
        return self.model.decode(self.model.quantizer.from_codes(codes)[0])


class Opus(Coder):
    """``opusenc`` and ``opusdec`` through pipes; the start of the programs counts.

    Raises:
        UnavailableError: opus-tools is not installed.
    """

    codebook_sizes = []

    def __init__(self) -> None:
        for program in ("opusenc", "opusdec"):
            if shutil.which(program) is None:
                raise UnavailableError(f"needs the program {program}: install opus-tools")

    def encode(self, blocks: Iterable[np.ndarray]) -> bytes:
        samples = np.concatenate([(32767 * np.clip(b, -1, 1)).astype("<i2") for b in blocks])
        form = ["--raw", "--raw-rate", str(self.sampling_rate), "--raw-chan", "1"]
        options = ["--quiet", "--bitrate", str(OPUS_KBPS)]
        return _pipe(["opusenc", *form, *options, "-", "-"], samples.tobytes())

    def decode(self, codes: bytes) -> Iterator[np.ndarray]:
        program = ["opusdec", "--quiet", "--rate", str(self.sampling_rate), "-", "-"]
        samples = np.frombuffer(_pipe(program, codes), dtype="<i2")
        yield samples.astype(np.float32) / 32768

    def codes(self, seconds: float) -> bytes:
        noise = 0.1 * np.random.default_rng(0).standard_normal(round(seconds * self.sampling_rate))
        return self.encode([noise])


def _package(module: str, package: str):
    try:
        with quietly():
            return optional_module(module, package)
    except UnavailableError as error:
        raise UnavailableError(f"not installed: pip install {package}") from error


def _pipe(command: list[str], data: bytes) -> bytes:
    done = subprocess.run(command, input=data, capture_output=True)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip() or done.returncode
        raise UnavailableError(f"{command[0]} failed: {reason}")
    return done.stdout
