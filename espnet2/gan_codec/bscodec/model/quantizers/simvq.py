"""Band-wise SimVQ: a frozen random codebook behind one trained linear map.

Source: SimVQ (arXiv 2411.02038) as BSCodec uses it, one quantizer a band.  Code j is W c_j.
The whole K x D codebook C W^T is never built: the search projects the frame instead,

    x . (W c_j) = (x W) . c_j        |W c_j|^2 = c_j^T (W^T W) c_j

and training transforms only the rows that were chosen, which has the same gradient.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.distributed import sum_over_ranks
from espnet2.gan_codec.bscodec.model.precision import in_float32
from espnet2.gan_codec.bscodec.model.quantizers.search import (
    CODE_BLOCK,
    nearest_codes,
)

Search = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]

# weight of the commitment term beside the codebook term
COMMITMENT = 0.25
# steps over which the latents' second moment is averaged for a PCA fit: one batch may be all
# silence or all speech, and a map fitted to it alone would fail the next
MOMENT_DECAY = 0.99
# a PCA map must quantize the batch at least this much better than the trained one
REFIT_GAIN = 0.95
# of W's squared lengths, what a direction must have for codes to be moved along it
DAMPING = 1e-6
# frames, in multiples of the codebook's size, in which a code in use is seen at least once
IDLE_HORIZON = 8


def principal_map(moment: torch.Tensor, codebook_dim: int, bits: float) -> torch.Tensor:
    """The map W (D, d) that gives white codes the covariance of the latents.

    Along the principal axes of the latents' second moment (D, D), each axis gets the variance
    that reverse water-filling at ``bits`` per vector leaves to its reproduction (Cover and
    Thomas, Elements of Information Theory, section 10.3.3).
    """
    variances, axes = torch.linalg.eigh(moment.double())
    variances = variances.flip(0)[:codebook_dim].clamp(min=0)
    axes = axes.flip(1)[:, :codebook_dim]
    low, high = variances.new_zeros(()), variances.max()
    for _ in range(50):  # bisect the water level
        level = (low + high) / 2
        rate = 0.5 * (variances / level).clamp(min=1).log2().sum()
        low, high = (level, high) if rate > bits else (low, level)
    spread = (variances - level).clamp(min=0)
    return (axes * (spread * codebook_dim).sqrt()).to(moment.dtype)


class SimVQ(nn.Module):
    """One band's quantizer.

    Args:
        codebook_size: number of codes K.
        codebook_dim: dimension d of the frozen codebook.
        dim: dimension D of the latents.
        refit_interval: training steps between trials of :meth:`pca_init`; 0, as published, never.
        reseed_interval: training steps between calls of :meth:`reset_dead_codes`; 0, as
            published, never.
        follow_rate: how far a code moves to a latent in :meth:`ema_update`; 0, as published: not.
    """

    frozen_codebook: torch.Tensor
    _moment: Any
    _frames: torch.Tensor
    _idle: torch.Tensor

    def __init__(
        self,
        codebook_size: int,
        codebook_dim: int,
        dim: int,
        refit_interval: int = 0,
        reseed_interval: int = 0,
        follow_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.refit_interval = refit_interval
        self.reseed_interval = reseed_interval
        self.follow_rate = follow_rate
        self._steps = 0
        self.adapts_later = False
        # running sum of x x^T over frames (D, D), and of the frames, made on first use
        self.register_buffer("_moment", None, persistent=False)
        self.register_buffer("_frames", None, persistent=False)
        # frames since each code was last used
        self.register_buffer("_idle", torch.zeros(codebook_size), persistent=False)
        codebook = torch.empty(codebook_size, codebook_dim)
        nn.init.normal_(codebook, std=codebook_dim**-0.5)
        self.register_buffer("frozen_codebook", codebook)
        self.code_transform = nn.Linear(codebook_dim, dim, bias=False)
        self._half_norms: torch.Tensor | None = None
        self._half_norms_of: tuple | None = None

    def _cached_half_norms(self) -> torch.Tensor:
        """|W c_j|^2 / 2 for every code (K,), computed again only when a weight changed."""
        weight, codebook = self.code_transform.weight, self.frozen_codebook
        # a tensor's version counts in-place writes: optimizer steps and load_state_dict
        state = tuple((t.data_ptr(), t._version, t.dtype, t.device) for t in (weight, codebook))
        if self.training or self._half_norms is None or self._half_norms_of != state:
            with torch.no_grad():
                gram = weight.t() @ weight
                self._half_norms = torch.cat(
                    [((c @ gram) * c).sum(1) / 2 for c in codebook.split(CODE_BLOCK)]
                )
            self._half_norms_of = state
        return self._half_norms

    def _projected(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (n, D) in the codebook's space, (n, d)."""
        weight = self.code_transform.weight.detach()
        if self.training or frames.device.type != "cpu":
            return frames @ weight
        # a float32 product depends on how many frames it is of, and codes must not
        return (frames.double() @ weight.double()).to(frames.dtype)

    def encode(self, x: torch.Tensor, search: Search = nearest_codes) -> torch.Tensor:
        """Nearest codes of latents (B, D, F): (B, F) int64.

        Args:
            x: latents.
            search: finds the nearest codes of queries (n, d), as ``nearest_codes`` does; in
                evaluation it is given the same norms (K,) as long as the weights stay.
        """
        frames = x.detach().transpose(1, 2).reshape(-1, x.shape[1])
        codebook, half_norms = self.frozen_codebook, self._cached_half_norms()
        indices = search(self._projected(frames), codebook, half_norms)
        return indices.view(x.shape[0], x.shape[2])

    def decode(self, indices: torch.Tensor) -> torch.Tensor:
        """Latents (B, D, F) of codes (B, F)."""
        return self.code_transform(F.embedding(indices, self.frozen_codebook)).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Quantize latents (B, D, F) with a straight-through gradient.

        Returns:
            quantized (B, D, F), codes (B, F), loss (scalar).
        """
        if self.training and self.refit_interval:
            self._watch(x)
            if (self._steps + 1) % self.refit_interval == 0:
                self.pca_init(x)
        indices = self.encode(x)
        quantized = self.decode(indices)
        if self.training and not self.adapts_later:
            self.adapt(x, quantized, indices)
        loss = F.mse_loss(x.detach(), quantized) + COMMITMENT * F.mse_loss(x, quantized.detach())
        return x + (quantized - x).detach(), indices, loss

    @torch.no_grad()
    def adapt(self, x: torch.Tensor, quantized: torch.Tensor, indices: torch.Tensor) -> None:
        """Move codes after a training step of latents and codes as :meth:`forward` has them."""
        self._steps += 1
        if self.reseed_interval:
            self._idle.add_(indices.numel())[indices.flatten()] = 0
            if self._steps % self.reseed_interval == 0:
                self.reset_dead_codes(x, quantized)
        if self.follow_rate:
            self.ema_update(x, indices)

    @torch.no_grad()
    def _watch(self, x: torch.Tensor) -> None:
        """Add latents (B, D, F) to the running second moment."""
        frames = x.detach().transpose(1, 2).reshape(-1, x.shape[1]).to(self.frozen_codebook.dtype)
        if self._moment is None:
            self._moment = frames.new_zeros(x.shape[1], x.shape[1])
            self._frames = frames.new_zeros(())
        self._moment.mul_(MOMENT_DECAY).addmm_(frames.t(), frames)
        self._frames.mul_(MOMENT_DECAY).add_(len(frames))

    @torch.no_grad()
    def pca_init(self, x: torch.Tensor) -> bool:
        """Set W from the latents seen lately, if that quantizes those of this batch better.

        Gradient steps move W slowly while the encoder's latents change scale and direction
        quickly; most codes are then far from all latents.  Their second moment shows at once
        where codes belong.  On several ranks all take the same decision.

        Args:
            x: latents (B, D, F) to compare the two maps on.

        Returns:
            Whether W was replaced.
        """
        weight = self.code_transform.weight
        moment = sum_over_ranks(self._moment.clone()) / sum_over_ranks(self._frames.clone())
        trained, before = weight.clone(), self._error(x)
        bits = math.log2(len(self.frozen_codebook))
        weight.copy_(principal_map(moment, self.frozen_codebook.shape[1], bits))
        if self._error(x) < REFIT_GAIN * before:
            return True
        weight.copy_(trained)
        return False

    @torch.no_grad()
    def reset_dead_codes(self, x: torch.Tensor, quantized: torch.Tensor) -> int:
        """Move codes that are not used to latents of this batch that are quantized badly.

        A Gaussian codebook fits latents that are Gaussian; where they are not, as in a band
        that is often silent, many of its codes lie where no latent comes.  Latents are drawn by
        their squared error, as k-means++ does (Arthur and Vassilvitskii, SODA 2007).  On
        several ranks the first one's codebook counts: it is a buffer, which DDP broadcasts.

        Args:
            x, quantized: latents (B, D, F) and what they were quantized to.

        Returns:
            The number of codes moved.
        """
        size = len(self.frozen_codebook)
        idle = (self._idle > IDLE_HORIZON * size).nonzero().flatten()
        errors = (x - quantized).square().sum(1).flatten()
        frames = x.transpose(1, 2).reshape(-1, x.shape[1])
        # at most a quarter of the batch, so that the worst frames do not get many codes each
        count = min(len(idle), len(frames) // 4, int((errors > 0).sum()))
        if not count:
            return 0
        chosen = frames[torch.multinomial(errors, count)]
        moved = idle[torch.randperm(len(idle), device=idle.device)[:count]]
        self.frozen_codebook[moved] = self._best_codes(chosen)
        self._idle[moved] = 0
        return count

    @torch.no_grad()
    def ema_update(self, x: torch.Tensor, indices: torch.Tensor) -> None:
        """Move every code that was used towards the latents that it stands for.

        This is k-means, a batch at a time (MacQueen 1967), in the space that W spans: random
        codes leave an error that codes in the midst of their latents do not.  On several ranks
        the first one's codebook counts, as in :meth:`reset_dead_codes`.

        Args:
            x: latents (B, D, F).
            indices: their codes (B, F).
        """
        codes, indices = self.frozen_codebook, indices.flatten()
        best = self._best_codes(x.transpose(1, 2).reshape(-1, x.shape[1]))
        # over all codes, not those in use alone: their number is not known before the GPU is done
        ones = torch.ones_like(best[:, :1])
        counts = codes.new_zeros(len(codes), 1).index_add_(0, indices, ones)
        means = torch.zeros_like(codes).index_add_(0, indices, best) / counts.clamp(min=1)
        codes.add_((1 - (1 - self.follow_rate) ** counts) * (means - codes))

    @torch.no_grad()
    def orthogonalize(self, largest: float) -> None:
        """Give W orthogonal columns of one length, and the codes what it had: W c_j stays.

        The codes then have one scale in all directions, up to ``largest``, and can be rounded.
        """
        axes, sizes = torch.linalg.qr(self.code_transform.weight.double())
        codes = self.frozen_codebook.double() @ sizes.t()
        scale = codes.abs().max() / largest
        self.frozen_codebook.copy_(codes / scale)
        self.code_transform.weight.copy_(axes * scale)

    def _best_codes(self, frames: torch.Tensor) -> torch.Tensor:
        """The points (n, d) of the codebook's space that W brings close to frames (n, D).

        Where W has almost no length, the closest point would lie far out, codes would move
        there, and a small step of W would then throw them anywhere: such directions are damped.
        """
        weight = self.code_transform.weight.double()
        gram = weight.t() @ weight
        gram = gram + DAMPING * gram.trace() * torch.eye(len(gram), device=gram.device)
        inverse = torch.linalg.solve_ex(gram, weight.t())[0]  # without waiting for the GPU
        return (frames.float() @ inverse.t().float()).to(self.frozen_codebook.dtype)

    def _error(self, x: torch.Tensor) -> torch.Tensor:
        """Squared quantization error of latents (B, D, F), summed over all ranks."""
        return sum_over_ranks((x - self.decode(self.encode(x))).square().sum())


class BandSimVQ(nn.Module):
    """One :class:`SimVQ` a band.

    Args:
        codebook_sizes: codes of each band, lowest band first.
        codebook_dim: dimension of the frozen codebooks.
        dim: dimension of the latents.
        refit_interval, reseed_interval, follow_rate: see :class:`SimVQ`.
    """

    def __init__(
        self,
        codebook_sizes: Sequence[int],
        codebook_dim: int,
        dim: int,
        refit_interval: int = 0,
        reseed_interval: int = 0,
        follow_rate: float = 0.0,
    ) -> None:
        super().__init__()
        self.layers: Any = nn.ModuleList(
            SimVQ(size, codebook_dim, dim, refit_interval, reseed_interval, follow_rate)
            for size in codebook_sizes
        )

    @contextlib.contextmanager
    def adapting_later(self) -> Iterator[None]:
        """Leave :meth:`adapt` after each forward pass to the caller, within this context."""
        for layer in self.layers:
            layer.adapts_later = True
        try:
            yield
        finally:
            for layer in self.layers:
                layer.adapts_later = False

    @in_float32
    def adapt(
        self,
        latents: Sequence[torch.Tensor],
        quantized: Sequence[torch.Tensor],
        codes: Sequence[torch.Tensor],
    ) -> None:
        """Move every band's codes after a training step, as their settings say."""
        for layer, x, y, indices in zip(self.layers, latents, quantized, codes, strict=True):
            layer.adapt(x, y, indices)

    @in_float32
    def forward(
        self, latents: Sequence[torch.Tensor]
    ) -> tuple[list[torch.Tensor], list[torch.Tensor], torch.Tensor]:
        """Quantize each band's (B, D, F); the loss is the mean over bands."""
        outputs = [layer(x) for layer, x in zip(self.layers, latents, strict=True)]
        quantized, codes, losses = zip(*outputs, strict=True)
        return list(quantized), list(codes), torch.stack(losses).mean()

    @in_float32
    def encode(self, latents: Sequence[torch.Tensor]) -> torch.Tensor:
        """Latents of the lowest bands, (B, D, F) each, to codes (B, N, F) int64."""
        pairs = zip(self.layers, latents, strict=False)
        return torch.stack([layer.encode(x) for layer, x in pairs], dim=1)

    @in_float32
    def decode(self, codes: torch.Tensor) -> list[torch.Tensor]:
        """Codes (B, N, F) of the lowest N bands to latents (B, D, F), one a band."""
        return [
            layer.decode(c) for layer, c in zip(self.layers, codes.unbind(dim=1), strict=False)
        ]
