"""What is worth knowing about the model and the run, for the page and ``results.json``."""

import os
import platform
from dataclasses import dataclass
from importlib import metadata

import torch

from espnet2.gan_codec.bscodec.codec import Codec

DISTRIBUTION = "espnet-bscodec"


@dataclass(frozen=True)
class Band:
    """One band of a model: edges in Hz, and bits of one of its codes."""

    low: float
    high: float
    bits: int


@dataclass(frozen=True)
class ModelInfo:
    """A model in numbers.

    Attributes:
        fingerprint: 8 hex digits, as in the header of a ``.bsc`` file.
        sampling_rate: in Hz.
        frame_rate: frames of codes a second.
        bitrate: of the codes, in bits/s.
        parameters: weights and biases of encoders, quantizers and decoders.
    """

    tag: str
    fingerprint: str
    sampling_rate: int
    frame_rate: float
    bitrate: float
    bands: tuple[Band, ...]
    parameters: int

    @classmethod
    def of(cls, codec: Codec) -> "ModelInfo":
        header = codec.header(len(codec.bands))
        return cls(
            tag=codec.tag,
            fingerprint=header.fingerprint,
            sampling_rate=header.sampling_rate,
            frame_rate=header.sampling_rate / header.hop_length,
            bitrate=header.bitrate,
            bands=tuple(Band(*e, b) for e, b in zip(header.bands, header.bits, strict=True)),
            parameters=sum(p.numel() for p in codec.model.generator.parameters()),
        )


@dataclass(frozen=True)
class RunInfo:
    """How a page came to be."""

    command: str
    version: str
    device: str
    software: str

    @classmethod
    def of(cls, codec: Codec, command: str) -> "RunInfo":
        return cls(command, _version(), _device(codec.device), _software())


def _version() -> str:
    try:
        return metadata.version(DISTRIBUTION)
    except metadata.PackageNotFoundError:
        return "not installed"


def _software() -> str:
    names = ("espnet", "torch", "auraloss")
    versions = [f"{name} {metadata.version(name)}" for name in names]
    return f"Python {platform.python_version()}, {', '.join(versions)}"


def _device(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    counted = f"{threads} thread{'s' if threads > 1 else ''}"
    return f"{processor()}, {counted} of {os.cpu_count()} CPUs"


def processor() -> str:
    """The processor's name where Linux reports it, else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.partition(":")[2] for line in file if line.startswith("model name")]
        return " ".join(names[0].split())
    except (OSError, IndexError):
        return platform.machine() or "CPU"
