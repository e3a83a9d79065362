"""A whole codec as two streams: samples to codes, and codes to samples."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import torch

from espnet2.gan_codec.bscodec.inference.backend import FastBackend
from espnet2.gan_codec.bscodec.inference.chunks import band_chunk_frames, chunk_frames
from espnet2.gan_codec.bscodec.inference.cpus import available_cpus
from espnet2.gan_codec.bscodec.inference.filterbank_streams import (
    analysis_stream,
    synthesis_stream,
)
from espnet2.gan_codec.bscodec.inference.stream import UNKNOWN, State, Stream, pick_rows
from espnet2.gan_codec.bscodec.inference.thread_pool import at_most_threads, run_bands
from espnet2.gan_codec.bscodec.model.bscodec import BandSplitCodec

_PERIOD = 1024  # frames after which a filterbank and the frame shift meet again, or a multiple


def _exactly(push: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Run a method without gradients, in the weights' precision; small networks on one thread."""

    @functools.wraps(push)
    def run(self: _Coder, *args: object, **kwargs: object) -> torch.Tensor:
        cpus = available_cpus()
        threads = cpus if self.max_frames or self.device.type != "cpu" else 1
        with (
            torch.no_grad(),
            torch.autocast(self.device.type, enabled=False),
            at_most_threads(threads, for_bands=cpus),
        ):
            return push(self, *args, **kwargs)

    return run


class _Coder(Stream):
    """What the two have in common: the model's facts, and an end after which nothing comes."""

    state_keys: tuple[str, ...] = ("ended",)

    def __init__(self, model: BandSplitCodec, batch: int, bands: int | None) -> None:
        self.model = model
        own = model.generator.backend
        self.backend = own if isinstance(own, FastBackend) else FastBackend()
        count = len(model.streams)
        self.num_streams = count if bands is None else bands
        if not 1 <= self.num_streams <= count:
            raise ValueError(f"expected 1 to {count} bands, got {bands}")
        # of the streams of codes; stages of a residual quantizer have one band together
        self.num_bands = min(self.num_streams, model.num_bands)
        self.batch = batch
        self.hop_length = model.hop_length
        self.device = next(model.parameters()).device
        self.max_frames = band_chunk_frames(model)  # frames that a band does at a time
        self.ended = False

    def restore(self, state: State) -> None:
        tensors = {k: v.to(self.device) for k, v in state.items() if isinstance(v, torch.Tensor)}
        # a number has no batch
        batches = {len(v) if v.dim() else -1 for v in tensors.values()} or {self.batch}
        if len(batches) > 1:
            raise ValueError("this is no state of a stream: its tensors are of several batches")
        super().restore({**state, **tensors})
        (self.batch,) = batches

    def _go_on(self, last: bool) -> None:
        if self.ended:
            raise ValueError("the stream has ended: nothing can be pushed any more")
        self.ended = last


class StreamEncoder(_Coder):
    """Samples in, codes out as soon as they are determined; the same codes as of the whole.

    Args:
        model: a :class:`~espnet2.gan_codec.bscodec.BSCodec` in eval mode.
        batch: signals that advance together.
        bands: code only that many of the lowest bands.
    """

    state_keys = ("ended", "num_samples_in")

    def __init__(self, model: BandSplitCodec, batch: int = 1, bands: int | None = None) -> None:
        super().__init__(model, batch, bands)
        generator = model.generator
        self.channels = generator.filterbank.channels[: self.num_bands]
        self.analysis = analysis_stream(generator.filterbank, batch, self.num_bands)
        self.encoders = [
            self.backend.encoder_stream(encoder, batch, generator.hidden_dim)
            for encoder in generator.encoders[: self.num_bands]
        ]
        self.num_samples_in = 0

    @property
    def children(self) -> Mapping[str, Stream]:
        encoders = {f"encoder{i}": stream for i, stream in enumerate(self.encoders)}
        return {"analysis": self.analysis, **encoders}

    def inputs_for(self, outputs: int) -> int:
        return self.analysis.inputs_for(self.encoders[0].inputs_for(outputs))

    @property
    def lookahead(self) -> int | None:
        """Samples after the first one of a frame that its code waits for, at most.

        The code of frame t is out once sample t * hop_length + lookahead is in.  The signal's
        first frames may wait longer where a layer reflects it, the last ones need not wait.
        ``None``: codes come at the end of the signal only.
        """
        hop, frames = self.hop_length, range(_PERIOD)
        lookahead = max(self.inputs_for(t + 1) - 1 - t * hop for t in frames)
        return None if lookahead >= UNKNOWN // 2 else lookahead

    @_exactly
    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        """Take samples (B, n) float in [-1, 1], n >= 0; return codes (B, N, f) int64, f >= 0.

        Raises:
            ValueError: another shape, samples that are not finite, or a stream that has ended
                or ends without a sample.
        """
        x = torch.as_tensor(x, dtype=torch.float32, device=self.device)
        if x.dim() != 2 or len(x) != self.batch:
            raise ValueError(f"expected samples ({self.batch}, n), got shape {tuple(x.shape)}")
        if not torch.isfinite(x).all():
            raise ValueError("cannot encode audio that holds NaN or infinity")
        if last and not self.num_samples_in + x.shape[1]:
            raise ValueError("cannot encode empty audio")
        self._go_on(last)
        self.num_samples_in += x.shape[1]
        bands = self.analysis.push(x.unsqueeze(1), last).split(self.channels, dim=1)
        frames = x.shape[1] // self.hop_length
        latents = run_bands([e.push for e in self.encoders], bands, frames, last, self.max_frames)
        return self.backend.encode(self.model.generator.quantizer, latents)[:, : self.num_streams]

    def flush(self) -> torch.Tensor:
        """End the stream: return the codes (B, N, f) that are left."""
        return self.push(torch.zeros(self.batch, 0), last=True)


class StreamDecoder(_Coder):
    """Codes in, samples out as soon as they are determined; the same audio as of the whole.

    Args:
        model: a :class:`~espnet2.gan_codec.bscodec.BSCodec` in eval mode.
        batch: signals that advance together.
        bands: play only that many of the lowest bands.
    """

    state_keys = ("ended", "num_samples_out")

    def __init__(self, model: BandSplitCodec, batch: int = 1, bands: int | None = None) -> None:
        super().__init__(model, batch, bands)
        generator = model.generator
        channels = generator.filterbank.channels[: self.num_bands]
        self.decoders = [
            self.backend.decoder_stream(decoder, batch, width)
            for decoder, width in zip(generator.decoders, channels, strict=False)
        ]
        self.synthesis = synthesis_stream(generator.filterbank, batch, self.num_bands)
        self.num_samples_out = 0

    @property
    def children(self) -> Mapping[str, Stream]:
        decoders = {f"decoder{i}": stream for i, stream in enumerate(self.decoders)}
        return {**decoders, "synthesis": self.synthesis}

    def inputs_for(self, outputs: int) -> int:
        return self.decoders[0].inputs_for(self.synthesis.inputs_for(outputs))

    @property
    def lookahead(self) -> int | None:
        """Frames after its own that a sample waits for, at most.

        The samples of frame t are out once the codes of frame t + lookahead are in; see
        :attr:`StreamEncoder.lookahead` about the ends, and about ``None``.
        """
        frames = range(_PERIOD)
        lookahead = max(self.inputs_for((t + 1) * self.hop_length) - 1 - t for t in frames)
        return None if lookahead >= UNKNOWN // 2 else lookahead

    @_exactly
    def push(self, codes: torch.Tensor, last: bool = False) -> torch.Tensor:
        """Take codes (B, N, f) int64 of the lowest N or more bands; return samples (B, n) float.

        Raises:
            ValueError: another shape, codes outside of a codebook, or a stream that has ended.
        """
        codes = torch.as_tensor(codes, device=self.device)
        if codes.dim() != 3 or len(codes) != self.batch or codes.shape[1] < self.num_streams:
            expected, got = f"({self.batch}, {self.num_streams}, f)", tuple(codes.shape)
            raise ValueError(f"expected codes {expected}, got shape {got}")
        codes = codes[:, : self.num_streams]
        self.model.check_codes(codes)
        self._go_on(last)
        latents = self.model.generator.quantizer.decode(codes)
        frames = codes.shape[2]
        bands = run_bands([d.push for d in self.decoders], latents, frames, last, self.max_frames)
        audio = self.synthesis.push(torch.cat(bands, dim=1), last).squeeze(1)
        self.num_samples_out += audio.shape[1]
        return audio

    def flush(self, num_samples: int | None = None) -> torch.Tensor:
        """End the stream: return the samples (B, n) that are left.

        With ``num_samples``, cut so that the total is that many.  A causal codec may have returned
        up to hop_length - 1 more by then, which are the caller's to drop.
        """
        codes = torch.zeros(self.batch, self.num_streams, 0, dtype=torch.long)
        before = self.num_samples_out
        audio = self.push(codes, last=True)
        return audio if num_samples is None else audio[:, : max(0, num_samples - before)]


def encode_batch(
    model: BandSplitCodec, signals: Sequence[torch.Tensor], bands: int | None = None
) -> list[torch.Tensor]:
    """Encode signals of different lengths together, each to the codes that it has alone.

    Nothing is padded: the signals advance together as streams of one batch, and each one leaves
    it where it ends.  That costs one more pass over a few frames for every different length,
    and a batch that shrinks: hand in signals of similar length.

    Args:
        model: a :class:`~espnet2.gan_codec.bscodec.BSCodec` in eval mode.
        signals: (T,) float in [-1, 1], any T >= 1 each.
        bands: code only that many of the lowest bands.

    Returns:
        (N, F) int64 for each signal, F = ceil(T / hop_length).

    Raises:
        ValueError: an empty signal, or one that is not finite.
    """
    chunk = chunk_frames(model) * model.hop_length
    left = sorted(range(len(signals)), key=lambda i: len(signals[i]))
    codes: list[list[torch.Tensor]] = [[] for _ in signals]
    stream, start = StreamEncoder(model, len(left), bands), 0
    while left:
        end = len(signals[left[0]])
        while start < end:
            stop = min(start + chunk, end)
            batch = torch.stack([signals[i][start:stop] for i in left])
            for i, new in zip(left, stream.push(batch), strict=True):
                codes[i].append(new)
            start = stop
        ending = [i for i in left if len(signals[i]) == end]
        state, count = stream.state(), len(ending)
        tail = StreamEncoder(model, count, bands)
        tail.restore(pick_rows(state, range(count)))
        for i, new in zip(ending, tail.flush(), strict=True):
            codes[i].append(new)
        stream.restore(pick_rows(state, range(count, len(left))))
        left = left[count:]
    return [torch.cat(children, dim=1) for children in codes]
