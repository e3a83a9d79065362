"""What training on several processes needs to know of them."""

from __future__ import annotations

import torch


def is_distributed() -> bool:
    """Whether several processes train together."""
    return torch.distributed.is_available() and torch.distributed.is_initialized()


def sum_over_ranks(value: torch.Tensor) -> torch.Tensor:
    """Sum ``value`` over all processes, in place, and return it."""
    if is_distributed():
        torch.distributed.all_reduce(value)
    return value
