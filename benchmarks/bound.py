"""How fast a model could be coded at best: its networks' products, at the machine's peak of them.

Whoever computes the same networks by float32 products of the same sizes cannot be faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from benchmarks.coders import WholeSignal
from benchmarks.measure import task
from benchmarks.timing import best_times

SIDES = (512, 1024, 2048)  # of the matrices that the peak is measured with
PRODUCTS = 8  # of each size, of which the fastest counts


@dataclass(frozen=True)
class Work:
    """Floating-point operations of a model in one direction.

    Attributes:
        flops: of convolutions and matrix products, in a second of audio; a product with its sum
            is two.  LSTMs and the naive search of SimVQ are not seen.
    """

    model: str
    direction: str
    flops: float


def matrix_peak(threads: int) -> float:
    """The most float32 operations that torch's matrix products do in a second.

    Args:
        threads: that torch may use.
    """
    torch.set_num_threads(threads)
    operands = [torch.ones(3, side, side) for side in SIDES]
    products = [lambda x=x: torch.mm(x[0], x[1], out=x[2]) for x in operands]
    times = best_times(products, PRODUCTS)
    return max(2 * side**3 / seconds for side, seconds in zip(SIDES, times, strict=True))


def flops_a_second(coder: WholeSignal, direction: str) -> float:
    """Operations of a second of audio more: what is done once for every signal does not count."""
    return _flops(coder, direction, 2) - _flops(coder, direction, 1)


def _flops(coder: WholeSignal, direction: str, seconds: float) -> int:
    return count_flops(task(coder, direction, seconds))


def count_flops(run: Callable[[], object]) -> int:
    """Floating-point operations of the convolutions and matrix products in ``run()``."""
    with _FlopCount() as counter:
        run()
    return counter.flops


class _FlopCount(TorchDispatchMode):
    """Adds up torch's own formulas.

    torch's FlopCounterMode does too, but not where a backward takes a gradient of its own.
    """

    flops = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> torch.Tensor | tuple[torch.Tensor, ...]:
        out = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        if formula is not None:
            self.flops += formula(*args, **(kwargs or {}), out_val=out)
        return out
