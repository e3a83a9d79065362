"""The BSCodec generator: split -> encoders -> quantizer -> decoders -> merge."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import nn

from espnet2.gan_codec.bscodec.model.backend import Backend
from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.model.filterbank import build_filterbank
from espnet2.gan_codec.bscodec.model.networks import build_networks
from espnet2.gan_codec.bscodec.model.quantizers import build_quantizer


@dataclasses.dataclass
class GeneratorOutput:
    """What the losses need of one pass, all waveforms (B, 1, T) of the input's length.

    Attributes:
        audio: decoded audio.
        bands: the analysed bands, as waveforms.
        bands_hat: the decoded bands, as waveforms.
        quantizer_loss: scalar.
        codes: (B, F) int64, one a stream.
        audio_unquantized: decoded from the latents before quantization, or ``None``.
        latents, quantized: (B, D, F) before and after quantization, one a band.
    """

    audio: torch.Tensor
    bands: list[torch.Tensor] | None
    bands_hat: list[torch.Tensor] | None
    quantizer_loss: torch.Tensor
    codes: list[torch.Tensor]
    audio_unquantized: torch.Tensor | None = None
    latents: list[torch.Tensor] | None = None
    quantized: list[torch.Tensor] | None = None


class BSCodecGenerator(nn.Module):
    """Band-split encoder, quantizer and decoder.

    Args:
        config: checked generator configuration.
        sampling_rate: in Hz.
        backend: runs the networks and searches the codebooks; the modules themselves by default.
    """

    def __init__(
        self, config: GeneratorConfig, sampling_rate: int, backend: Backend | None = None
    ) -> None:
        super().__init__()
        self.hop_length = config.hop_length
        self.hidden_dim = config.hidden_dim
        self.filterbank = build_filterbank(config, sampling_rate)
        networks = [build_networks(config, c) for c in self.filterbank.channels]
        self.encoders = nn.ModuleList(encoder for encoder, _ in networks)
        self.quantizer = build_quantizer(config)
        self.decoders = nn.ModuleList(decoder for _, decoder in networks)
        self.backend = backend or Backend()

    def latents(self, audio: torch.Tensor, bands: int | None = None) -> list[torch.Tensor]:
        """Latents (B, D, F) of the lowest ``bands`` bands of ``audio`` (B, 1, T)."""
        return self._encode(self.filterbank.analysis(audio)[:bands])

    def _encode(self, bands: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        num_frames = bands[0].shape[-1] // self.hop_length
        return self.backend.run(list(self.encoders)[: len(bands)], bands, num_frames)

    def _decode(self, latents: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        num_frames = latents[0].shape[-1]
        return self.backend.run(list(self.decoders)[: len(latents)], latents, num_frames)

    def forward(
        self, audio: torch.Tensor, use_dual_decoder: bool = False, with_bands: bool = True
    ) -> GeneratorOutput:
        """Code and decode ``audio`` (B, 1, T) for training.

        Args:
            audio: (B, 1, T) float, any T >= 1.
            use_dual_decoder: also decode the latents as they are before quantization.
            with_bands: also return each band as a waveform.
        """
        length = audio.shape[-1]
        signals = self.filterbank.analysis(audio)
        latents = self._encode(signals)
        quantized, codes, loss = self.quantizer(latents)
        bands = bands_hat = unquantized = None
        if use_dual_decoder:  # both in one batch, which the LSTM takes as long for as for one
            both = [torch.cat(pair) for pair in zip(quantized, latents, strict=True)]
            halves = [y.chunk(2) for y in self._decode(both)]
            decoded = [half for half, _ in halves]
            unquantized = self.filterbank.synthesis([half for _, half in halves])[..., :length]
        else:
            decoded = self._decode(quantized)
        if with_bands:
            bands = [b[..., :length] for b in self.filterbank.waveforms(signals)]
            bands_hat = [b[..., :length] for b in self.filterbank.waveforms(decoded)]
        return GeneratorOutput(
            audio=self.filterbank.synthesis(decoded)[..., :length],
            bands=bands,
            bands_hat=bands_hat,
            quantizer_loss=loss,
            codes=codes,
            audio_unquantized=unquantized,
            latents=latents,
            quantized=quantized,
        )

    @torch.no_grad()
    def encode(self, audio: torch.Tensor, bands: int | None = None) -> torch.Tensor:
        """Code ``audio`` (B, 1, T): (B, N, F) int64, F = ceil(T / hop), N streams or ``bands``."""
        # stages of one band are coded together: the slice is for them
        return self.backend.encode(self.quantizer, self.latents(audio, bands))[:, :bands]

    def decode(self, codes: torch.Tensor) -> torch.Tensor:
        """Decode (B, N, F) codes of the first N streams: (B, 1, F * hop)."""
        return self.filterbank.synthesis(self._decode(self.quantizer.decode(codes)))

    def decode_bands(self, codes: torch.Tensor) -> list[torch.Tensor]:
        """Decode (B, N, F) codes to a waveform (B, 1, F * hop) a band; they sum to the audio."""
        return self.filterbank.waveforms(self._decode(self.quantizer.decode(codes)))

    # ESPnet's encode_continuous and decode_continuous call these two by name.
    def encoder(self, audio: torch.Tensor) -> torch.Tensor:
        """All bands' latents, before quantization, stacked: (B, N * D, F)."""
        return torch.cat(self.latents(audio), dim=1)

    def decoder(self, latents: torch.Tensor) -> torch.Tensor:
        """Audio (B, 1, F * hop) of what :meth:`encoder` gives."""
        return self.filterbank.synthesis(self._decode(latents.split(self.hidden_dim, dim=1)))
