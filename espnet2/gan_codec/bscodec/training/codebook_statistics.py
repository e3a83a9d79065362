"""Usage and perplexity of each codebook while it trains, and a warning of its collapse."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence

import torch
from torch import nn

# Frames over which the histogram forgets, in multiples of the codebook's size: long enough
# that every code of a healthy codebook is seen a few times.
HORIZON = 4
# A codebook whose perplexity falls below this share of its size is called collapsed.
COLLAPSED = 0.01
WARN_EVERY = 1000


class CodebookStatistics(nn.Module):
    """Running histograms of the codes that training uses.

    The counts are buffers outside of the state dict: they say how training goes, not what the
    model is.

    Args:
        codebook_sizes: codes of each band.
    """

    def __init__(self, codebook_sizes: Sequence[int]) -> None:
        super().__init__()
        self.codebook_sizes = list(codebook_sizes)
        self.updates = 0
        for band, size in enumerate(self.codebook_sizes):
            self.register_buffer(f"counts_{band}", torch.zeros(size), persistent=False)

    @torch.no_grad()
    def update(self, codes: Sequence[torch.Tensor]) -> None:
        """Add each band's codes (B, F) of one training step."""
        self.updates += 1
        for band, (indices, size) in enumerate(zip(codes, self.codebook_sizes, strict=True)):
            counts = getattr(self, f"counts_{band}")
            counts.mul_(math.exp(-indices.numel() / (HORIZON * size)))
            indices = indices.flatten()  # bincount would wait for a GPU
            counts.index_add_(0, indices, counts.new_ones(()).expand(len(indices)))
        if self.updates % WARN_EVERY == 0:
            self._warn()

    @torch.no_grad()
    def stats(self) -> dict[str, torch.Tensor]:
        """``usage_band<i>`` (share of codes in use, 0 to 1) and ``perplexity_band<i>``."""
        stats = {}
        for band in range(len(self.codebook_sizes)):
            counts = getattr(self, f"counts_{band}")
            p = counts / counts.sum().clamp(min=1)
            entropy = -torch.special.xlogy(p, p).sum()
            # in use: seen within the last horizon
            stats[f"usage_band{band}"] = (counts > math.exp(-1)).float().mean()
            stats[f"perplexity_band{band}"] = entropy.exp()
        return stats

    def _warn(self) -> None:
        stats = self.stats()
        for band, size in enumerate(self.codebook_sizes):
            perplexity = stats[f"perplexity_band{band}"].item()
            if perplexity < max(COLLAPSED * size, 2):
                logging.warning(
                    f"codebook of band {band} is collapsing: perplexity {perplexity:.1f} "
                    f"of {size} codes after {self.updates} steps"
                )
