"""Which form of a network is run: its fast form where there is one, else the module itself."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from espnet2.gan_codec.bscodec.inference import spectral_streams as spectral
from espnet2.gan_codec.bscodec.inference import thread_pool as workers
from espnet2.gan_codec.bscodec.inference.fast_seanet import FastDecoder, FastEncoder
from espnet2.gan_codec.bscodec.inference.products import NotCovered
from espnet2.gan_codec.bscodec.inference.stream import Stream, WholeSignal
from espnet2.gan_codec.bscodec.model.networks import SpectralDecoder, SpectralEncoder
from espnet2.gan_codec.shared.decoder.seanet import SEANetDecoder


class Engine:
    """The fast forms of one generator's networks, made when they are first needed.

    It belongs to no state dict, and a copy or a pickle of it starts afresh.
    """

    def __init__(self) -> None:
        self._fast: dict[nn.Module, FastEncoder | FastDecoder | None] = {}

    def __reduce__(self) -> tuple:
        return Engine, ()

    def run(
        self, networks: Sequence[nn.Module], inputs: Sequence[torch.Tensor], frames: int
    ) -> list[torch.Tensor]:
        """Return each network's output for its input, the fast way where it can and may be.

        Args:
            networks, inputs: of the bands.
            frames: of codes that the inputs hold, roughly.
        """
        pairs = list(zip(networks, inputs, strict=True))
        if not all(_plain_inference(network, x) for network, x in pairs):
            return [network(x) for network, x in pairs]
        fast = [self._fast_form(network) for network in networks]
        if None in fast:
            return [network(x) for network, x in pairs]
        threads, pieces = workers.plan(len(pairs), frames, inputs[0].device)
        outputs: list[list[torch.Tensor]] = [[] for _ in pairs]
        jobs = [f.steps(x, pieces, o) for f, x, o in zip(fast, inputs, outputs, strict=True)]
        workers.run_jobs(jobs, threads)
        return [output for (output,) in outputs]

    def encoder_stream(self, encoder: nn.Module, batch: int, hidden_dim: int) -> Stream:
        """Stream of an encoder; one that waits for the signal's end where there is no other."""
        if isinstance(encoder, SpectralEncoder):
            return spectral.encoder_stream(encoder, batch)
        return self._stream(encoder, batch, hidden_dim)

    def decoder_stream(self, decoder: nn.Module, batch: int, channels: int) -> Stream:
        """Stream of a decoder, as :meth:`encoder_stream`."""
        if isinstance(decoder, SpectralDecoder):
            return spectral.decoder_stream(decoder, batch)
        return self._stream(decoder, batch, channels)

    def _stream(self, network: nn.Module, batch: int, out_channels: int) -> Stream:
        fast = self._fast_form(network)
        return WholeSignal(network, out_channels) if fast is None else fast.stream(batch)

    def _fast_form(self, network: nn.Module) -> FastEncoder | FastDecoder | None:
        """Return the fast form, or None for networks and settings without one."""
        if network not in self._fast:
            kind = FastDecoder if isinstance(network, SEANetDecoder) else FastEncoder
            try:
                self._fast[network] = kind(network)
            except NotCovered:
                self._fast[network] = None
        return self._fast[network]


def _plain_inference(network: nn.Module, x: torch.Tensor) -> bool:
    """Whether nothing but the output is wanted: no gradient, no graph, no other precision."""
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or network.training
        or torch.is_grad_enabled()
        or x.device.type != "cpu"
        or x.dtype != torch.float32
        or torch.is_autocast_enabled(x.device.type)
    )
