"""Forms of one codec's computation behind one interface: naive, plain, and by the engine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import nn

from espnet2.gan_codec.bscodec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.hub.checkpoint import LoadedModel
from espnet2.gan_codec.bscodec.inference.fast_seanet import FastDecoder, FastEncoder
from espnet2.gan_codec.bscodec.model.quantizers.simvq import BandSimVQ, SimVQ
from espnet2.gan_codec.shared.quantizer.modules.core_vq import VectorQuantization


class Coder(ABC):
    """A codec of mono audio.

    Attributes:
        sampling_rate: in Hz.
        hop_length: samples between two frames of codes.
        codebook_sizes: codes of each stream.
    """

    sampling_rate: int = 24000
    hop_length: int = 320
    codebook_sizes: list[int]

    @abstractmethod
    def encode(self, blocks: Iterable[np.ndarray]) -> np.ndarray | bytes:
        """Encode audio that comes in (n,) float32 blocks to codes (N, F) int64."""

    @abstractmethod
    def decode(self, codes: np.ndarray | bytes) -> Iterator[np.ndarray]:
        """Decode codes (N, F); yield the audio in (n,) float32 blocks, one or more."""

    def codes(self, seconds: float) -> np.ndarray | bytes:
        """Return something to decode: codes (N, F) drawn evenly, of that much audio."""
        frames = -(-round(seconds * self.sampling_rate) // self.hop_length)
        generator = np.random.default_rng(0)
        return np.stack([generator.integers(size, size=frames) for size in self.codebook_sizes])


class Streamed(Coder):
    """Ours, as ``Codec`` and the command have it: the engine's networks, in bounded memory."""

    def __init__(self, model: BSCodec) -> None:
        self.codec = Codec(LoadedModel(model, "benchmark", "0" * 64, Path()))
        self.sampling_rate, self.hop_length = model.sampling_rate, model.hop_length
        self.codebook_sizes = model.codebook_sizes

    def encode(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        return np.concatenate(
            list(self.codec.encode_blocks(blocks, len(self.codebook_sizes))), axis=1
        )

    def decode(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        return self.codec.decode_blocks([codes], codes.shape[1] * self.hop_length)


class WholeSignal(Coder):
    """A codec that takes the whole signal at once; a subclass works on tensors."""

    def encode(self, blocks: Iterable[np.ndarray]) -> np.ndarray:
        with torch.no_grad():
            audio = torch.from_numpy(np.concatenate(list(blocks)))
            return self.encode_signal(audio[None, None])[0].numpy()

    def decode(self, codes: np.ndarray) -> Iterator[np.ndarray]:
        with torch.no_grad():
            yield self.decode_signal(torch.from_numpy(codes)[None])[0, 0].numpy()

    @abstractmethod
    def encode_signal(self, audio: torch.Tensor) -> torch.Tensor:
        """(1, 1, T) float to codes (1, N, F)."""

    @abstractmethod
    def decode_signal(self, codes: torch.Tensor) -> torch.Tensor:
        """Codes (1, N, F) to audio (1, 1, T)."""


class Plain(WholeSignal):
    """Our modules as they are trained: the blocked search, but no engine."""

    def __init__(self, model: BSCodec) -> None:
        self.generator = model.generator
        self.sampling_rate, self.hop_length = model.sampling_rate, model.hop_length
        self.codebook_sizes = model.codebook_sizes

    def encode_signal(self, audio: torch.Tensor) -> torch.Tensor:
        bands = self.generator.filterbank.analysis(audio)
        return self.search(
            [encoder(x) for encoder, x in zip(self.generator.encoders, bands, strict=True)]
        )

    def decode_signal(self, codes: torch.Tensor) -> torch.Tensor:
        latents = self.generator.quantizer.decode(codes)
        return self.generator.filterbank.synthesis(
            [decoder(z) for decoder, z in zip(self.generator.decoders, latents, strict=True)]
        )

    def search(self, latents: list[torch.Tensor]) -> torch.Tensor:
        """Latents (1, D, F), one a band, to codes (1, N, F)."""
        return self.generator.quantizer.encode(latents)


class Naive(Plain):
    """The computation that is usual for published codecs, with the modules' own weights.

    SimVQ transforms its whole codebook at every call and compares all frames with all codes at
    once (SimVQ, arXiv 2411.02038, and its common implementations); VQ is ESPnet's.  Decoding
    transforms the codes that it needs, as :class:`Plain` does: not all implementations do.
    """

    def search(self, latents: list[torch.Tensor]) -> torch.Tensor:
        quantizer = self.generator.quantizer
        search = _simvq_search if isinstance(quantizer, BandSimVQ) else VectorQuantization.encode
        codes = [search(layer, x) for layer, x in zip(quantizer.layers, latents, strict=True)]
        return torch.stack(codes, dim=1)


def _simvq_search(layer: SimVQ, x: torch.Tensor) -> torch.Tensor:
    codebook = layer.code_transform(layer.frozen_codebook)
    return torch.cdist(x.mT, codebook[None]).argmin(dim=2)


class Residual(WholeSignal):
    """ESPnet's DAC or EnCodec at its highest bitrate, with their own networks or the engine's.

    Args:
        generator: of ESPnet: encoder, residual quantizer, decoder.
        engine: run the two networks by their fast forms.

    Raises:
        NotSupported: the engine has no fast form of them.
    """

    def __init__(self, generator: nn.Module, engine: bool) -> None:
        self.quantizer = generator.quantizer
        self.encoder, self.decoder = generator.encoder, generator.decoder
        self.hop_length = self.encoder.hop_length
        if engine:
            self.encoder, self.decoder = FastEncoder(self.encoder), FastDecoder(self.decoder)
        self.sampling_rate, self.frame_rate = generator.sample_rate, generator.frame_rate
        self.bandwidth = generator.target_bandwidths[-1]
        streams = self.quantizer.get_num_quantizers_for_bandwidth(self.frame_rate, self.bandwidth)
        self.codebook_sizes = [self.quantizer.bins] * streams

    def encode_signal(self, audio: torch.Tensor) -> torch.Tensor:
        codes = self.quantizer.encode(self.encoder(audio), self.frame_rate, self.bandwidth)
        return codes.transpose(0, 1)

    def decode_signal(self, codes: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.quantizer.decode(codes.transpose(0, 1)))
