"""The backend of inference: networks by their fast form where there is one, bands on threads."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from espnet2.gan_codec.bscodec.inference import spectral_streams, thread_pool
from espnet2.gan_codec.bscodec.inference.fast_seanet import FastDecoder, FastEncoder
from espnet2.gan_codec.bscodec.inference.half_precision import RoundedWeights, has_bf16_units
from espnet2.gan_codec.bscodec.inference.prefilter_search import FRAME_BLOCK, PrefilteredSearch
from espnet2.gan_codec.bscodec.inference.products import NotSupported
from espnet2.gan_codec.bscodec.inference.stream import Stream, WholeSignal
from espnet2.gan_codec.bscodec.model.backend import Backend
from espnet2.gan_codec.bscodec.model.config import BF16, FLOAT32
from espnet2.gan_codec.bscodec.model.networks import SpectralDecoder, SpectralEncoder
from espnet2.gan_codec.bscodec.model.precision import in_float32
from espnet2.gan_codec.bscodec.model.quantizers import BandSimVQ, Quantizer
from espnet2.gan_codec.shared.decoder.seanet import SEANetDecoder

# up to there one band after the other is searched, as each search reads its whole codebook
MIN_FRAMES_FOR_THREADS = 128


class FastBackend(Backend):
    """The fast forms of one generator's networks and searches, made when they are first needed.

    It belongs to no state dict, and a copy or a pickle of it starts afresh.
    """

    def __init__(self, precision: str = FLOAT32) -> None:
        self.precision = precision
        self._fast: dict[tuple, FastEncoder | FastDecoder | None] = {}
        self._rounded: dict[nn.Module, RoundedWeights] = {}
        self._searches: dict[nn.Module, PrefilteredSearch] = {}
        self._has_warned = False

    def __reduce__(self) -> tuple:
        return type(self), (self.precision,)

    def precision_on(self, device: torch.device) -> str:
        """See :class:`Backend`; float32, with a logged line, where there are no bf16 units."""
        if self.precision == BF16 and not has_bf16_units(device):
            if not self._has_warned:
                self._has_warned = True
                logging.getLogger("espnet_bscodec").warning("%s", no_bf16_units(device))
            return FLOAT32
        return self.precision

    def run(
        self, networks: Sequence[nn.Module], inputs: Sequence[torch.Tensor], num_frames: int
    ) -> list[torch.Tensor]:
        """See :class:`Backend`; the fast way where nothing but the output is wanted."""
        pairs = list(zip(networks, inputs, strict=True))
        device = inputs[0].device
        is_half = self.precision_on(device) == BF16
        wanted = _is_plain_inference if not is_half else _is_inference
        if not all(wanted(network, x) for network, x in pairs):
            return super().run(networks, inputs, num_frames)
        if is_half and any(isinstance(n, (SpectralEncoder, SpectralDecoder)) for n in networks):
            return [self._spectral_stream(n, len(x)).push(x, last=True) for n, x in pairs]
        fast = [form for n in networks if (form := self._fast_form(n, device)) is not None]
        if len(fast) < len(pairs):
            return super().run(networks, inputs, num_frames)
        most = thread_pool.max_frames(fast[0].dtype)
        threads, chunks = thread_pool.schedule(len(pairs), num_frames, device, most)
        outputs: list[list[torch.Tensor]] = [[] for _ in pairs]
        jobs = [f.steps(x, chunks, o) for f, x, o in zip(fast, inputs, outputs, strict=True)]
        thread_pool.run_jobs(jobs, threads)
        return [output for (output,) in outputs]

    @in_float32
    def encode(self, quantizer: Quantizer, latents: Sequence[torch.Tensor]) -> torch.Tensor:
        """See :class:`Backend`; SimVQ's large codebooks are searched by a prefilter."""
        if not isinstance(quantizer, BandSimVQ) or quantizer.training or _is_tracing():
            return quantizer.encode(latents)
        layers = list(quantizer.layers)[: len(latents)]
        for layer in layers:
            self._searches.setdefault(layer, PrefilteredSearch())
        searches = [
            lambda x, last, layer=layer: layer.encode(x, self._searches[layer]) for layer in layers
        ]
        num_frames = latents[0].shape[2]
        if num_frames < MIN_FRAMES_FOR_THREADS:
            codes = [search(x, True) for search, x in zip(searches, latents, strict=True)]
        else:
            codes = thread_pool.run_bands(
                searches, latents, num_frames, last=True, max_frames=FRAME_BLOCK
            )
        return torch.stack(codes, dim=1)

    def encoder_stream(self, encoder: nn.Module, batch: int, hidden_dim: int) -> Stream:
        """Stream of an encoder; one that waits for the signal's end where there is no other."""
        if isinstance(encoder, SpectralEncoder):
            return self._spectral_stream(encoder, batch)
        return self._stream(encoder, batch, hidden_dim)

    def decoder_stream(self, decoder: nn.Module, batch: int, channels: int) -> Stream:
        """Stream of a decoder, as :meth:`encoder_stream`."""
        if isinstance(decoder, SpectralDecoder):
            return self._spectral_stream(decoder, batch)
        return self._stream(decoder, batch, channels)

    def _stream(self, network: nn.Module, batch: int, out_channels: int) -> Stream:
        fast = self._fast_form(network, next(network.parameters()).device)
        return WholeSignal(network, out_channels) if fast is None else fast.stream(batch)

    def _spectral_stream(self, network: Any, batch: int) -> Stream:
        """Stream of a :class:`SpectralEncoder` or :class:`SpectralDecoder`."""
        rounded = None
        if self.precision_on(next(network.parameters()).device) == BF16:
            rounded = self._rounded.setdefault(network, RoundedWeights())
        if isinstance(network, SpectralEncoder):
            return spectral_streams.encoder_stream(network, batch, rounded)
        return spectral_streams.decoder_stream(network, batch, rounded)

    def _fast_form(
        self, network: nn.Module, device: torch.device
    ) -> FastEncoder | FastDecoder | None:
        """Return the fast form, or None for networks and settings without one."""
        dtype = torch.bfloat16 if self.precision_on(device) == BF16 else None
        if (network, dtype) not in self._fast:
            kind = FastDecoder if isinstance(network, SEANetDecoder) else FastEncoder
            try:
                self._fast[network, dtype] = kind(network, dtype)
            except NotSupported:
                self._fast[network, dtype] = None
        return self._fast[network, dtype]


def no_bf16_units(device: torch.device) -> str:
    """Return a line that says what a device lacks, and what follows from it."""
    what = "GPU" if device.type == "cuda" else "processor"
    return f"precision {BF16}: this {what} has no units for it, so it is float32 that is used"


def _is_plain_inference(network: nn.Module, x: torch.Tensor) -> bool:
    """Whether it is inference on the CPU, which has a fast way in float32 too."""
    return x.device.type == "cpu" and _is_inference(network, x)


def _is_inference(network: nn.Module, x: torch.Tensor) -> bool:
    """Whether nothing but the output is wanted: no gradient, no graph, no other precision."""
    return not (
        _is_tracing()
        or network.training
        or torch.is_grad_enabled()
        or x.dtype != torch.float32
        or torch.is_autocast_enabled(x.device.type)
    )


def _is_tracing() -> bool:
    return torch.compiler.is_compiling() or torch.jit.is_tracing()
