"""Nearest-code search in bounded memory.

argmin_j |x - c_j|^2 = argmax_j (x . c_j - |c_j|^2 / 2): no distance matrix is kept, only a
running best over blocks of codes, so memory does not grow with frames x codes.
"""

from __future__ import annotations

import torch

FRAME_BLOCK = 256  # its scores stay in the cache, and in memory that is not given back
CUDA_FRAME_BLOCK = 16384  # a GPU waits for the next launch more than for its memory
CODE_BLOCK = 4096


@torch.no_grad()
def nearest_codes(
    queries: torch.Tensor, codebook: torch.Tensor, half_norms: torch.Tensor
) -> torch.Tensor:
    """Index of the nearest code of every query.

    Args:
        queries: (n, d) float vectors.
        codebook: (K, d) vectors, as compared with the queries.
        half_norms: (K,) half of each code's squared norm.  It need not be that of
            ``codebook`` itself: a search in a projected space passes the norms of the full one.

    Returns:
        (n,) int64; the lowest index among equals.
    """
    indices = torch.empty(len(queries), dtype=torch.long, device=queries.device)
    size = CUDA_FRAME_BLOCK if queries.is_cuda else FRAME_BLOCK
    for start in range(0, len(queries), size):
        block = queries[start : start + size]
        best = block.new_full((len(block),), -torch.inf)
        index = torch.zeros(len(block), dtype=torch.long, device=block.device)
        for first in range(0, len(codebook), CODE_BLOCK):
            last = first + CODE_BLOCK
            scores = torch.addmm(-half_norms[first:last], block, codebook[first:last].t())
            score, where = _row_maxima(scores)
            better = score > best
            best = torch.where(better, score, best)
            index = torch.where(better, where + first, index)
        indices[start : start + size] = index
    return indices


def _row_maxima(scores: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The largest of each row (n, K) and its place, the first of equals: (n,) each."""
    if scores.device.type != "cpu" or torch.compiler.is_compiling() or torch.jit.is_tracing():
        return scores.max(dim=1)
    where = torch.from_numpy(scores.numpy().argmax(1))  # half of torch's time
    return scores.gather(1, where[:, None]).squeeze(1), where
