"""Nearest-code search by a bfloat16 prefilter with exact re-ranking: an exact search's result.

On CPUs that multiply bfloat16 the search of a large codebook takes less than half of the time.
Its scores q . c_j - n_j are wrong by at most a bound E that is known for each query:

    |q . c - q' . c'|  <=  |q - q'| |c| + |q'| |c - c'|        q', c' rounded to bfloat16

and what adding up m terms in float32 loses is at most m 2^-23 times the sum of their sizes.  Once
some code has the exact score L, a better one has a prefilter score above L - E, and with random
codes few others have: those are scored once more in float64.  E - L is one more term of the
product, so that the sign of a prefilter score decides and rounding it to bfloat16 does no harm.
"""

from __future__ import annotations

import numpy as np
import torch

from espnet2.gan_codec.bscodec.inference.half_precision import has_bf16_units
from espnet2.gan_codec.bscodec.model.quantizers.search import nearest_codes

FRAME_BLOCK = 1024  # queries at a time
MIN_QUERIES = 32  # below, reading the codebook is what takes the time
FIRST_CODES = 1024  # scored exactly at the start, for a first L
BLOCK_SCORES = 1 << 21  # prefilter scores at a time
MIN_CODES, MAX_CODES = 4096, 16384  # of a block
# Where more candidates than that come up for a query in one block, codes lie closer together than
# bfloat16 can tell, and scoring all of the block exactly is the shorter way.
MAX_CANDIDATES = 64
NUM_TERMS = 3  # bfloat16 numbers that add up to a float32


def is_profitable(queries: torch.Tensor, codebook: torch.Tensor) -> bool:
    """Whether the prefilter is possible here, and faster than the plain one."""
    return (
        codebook.device.type == "cpu"
        and codebook.dtype == queries.dtype == torch.float32
        and len(queries) >= MIN_QUERIES
        and len(codebook) >= 4 * MIN_CODES
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and has_bf16_units(codebook.device)
    )


class PrefilteredSearch:
    """One codebook's search: prefiltered where that is profitable, else ``nearest_codes``.

    The prepared codebook is kept as long as it is searched with the same norms.
    """

    def __init__(self) -> None:
        self._prepared: PrefilteredCodebook | None = None

    def __call__(
        self, queries: torch.Tensor, codebook: torch.Tensor, half_norms: torch.Tensor
    ) -> torch.Tensor:
        """Nearest codes of queries (n, d): (n,) int64."""
        if not is_profitable(queries, codebook):
            return nearest_codes(queries, codebook, half_norms)
        if self._prepared is None or self._prepared.half_norms is not half_norms:
            self._prepared = PrefilteredCodebook(codebook, half_norms)
        return self._prepared.nearest(queries)


class PrefilteredCodebook:
    """A codebook prepared for the search.

    Args:
        codebook: (K, d) float32 on the CPU; kept, not copied.
        half_norms: (K,) as for ``nearest_codes``.
    """

    @torch.no_grad()
    def __init__(self, codebook: torch.Tensor, half_norms: torch.Tensor) -> None:
        self.codebook, self.half_norms = codebook, half_norms
        size, dim = codebook.shape
        self.table = torch.ones(size, dim + 2 * NUM_TERMS, dtype=torch.bfloat16)
        self.table[:, :dim] = codebook
        self.table[:, dim : dim + NUM_TERMS] = _bfloat16_terms(-half_norms)
        # the largest over all codes of |c|, |c - c'| and |n|
        pairs = zip(codebook.split(MIN_CODES), self.table.split(MIN_CODES), strict=True)
        lengths = [(_longest(c), _longest(c - rounded[:, :dim])) for c, rounded in pairs]
        self.length, self.rounding = map(max, zip(*lengths, strict=True))
        self.highest = half_norms.abs().max().item()

    def bound(self, queries: torch.Tensor, best: torch.Tensor) -> torch.Tensor:
        """By how much a prefilter score minus ``best`` may be wrong, for any code: (n,) float64.

        Args:
            queries: (n, d) float32.
            best: (n,) float64.
        """
        length, rounding = _lengths(queries), _lengths(queries - queries.bfloat16())
        products = rounding * self.length + (length + rounding) * self.rounding
        sizes = 2 * length * self.length + self.highest + best.abs()
        # twice the sizes: the rounding of the codes and E itself, among the terms, are included;
        # and what is so small that the processor takes it for zero
        terms = self.table.shape[1]
        return products + terms * 2.0**-23 * (2 * sizes + products) + terms * 2.0**-100

    def factors(self, queries: torch.Tensor, shift: torch.Tensor) -> torch.Tensor:
        """What the table is multiplied by for prefilter scores plus ``shift`` (n,): (d + 6, n)."""
        rounded = queries.bfloat16()
        ones = rounded.new_ones(len(queries), NUM_TERMS)
        return torch.cat([rounded, ones, _bfloat16_terms(shift.float())], dim=1).t()

    @torch.no_grad()
    def nearest(self, queries: torch.Tensor) -> torch.Tensor:
        """Index of the nearest code of every query: (n, d) float32 to (n,) int64.

        That is the maximum in float64, any one of those that are equal to its last digits.
        """
        return torch.cat([self._nearest(block) for block in queries.split(FRAME_BLOCK)])

    def _nearest(self, queries: torch.Tensor) -> torch.Tensor:
        index = self._plain(queries, 0, FIRST_CODES)
        everyone = torch.arange(len(queries))
        best = self._exact(queries, everyone, index)
        count = min(max(MIN_CODES, BLOCK_SCORES // len(queries)), MAX_CODES)
        # new memory for every block would take longer to get than to use
        all_scores = torch.empty(count, len(queries), dtype=torch.bfloat16)
        all_signs = np.empty(all_scores.shape, dtype=bool)
        for first in range(FIRST_CODES, len(self.codebook), count):
            table = self.table[first : first + count]
            scores, signs = all_scores[: len(table)], all_signs[: len(table)]
            factors = self.factors(queries, self.bound(queries, best) - best)
            torch.mm(table, factors, out=scores)
            # an integer of the same bits has the same sign; NaN becomes a candidate
            np.greater_equal(scores.view(torch.int16).numpy(), 0, out=signs)
            candidates = np.flatnonzero(signs)
            if not len(candidates):
                continue
            if len(candidates) > MAX_CANDIDATES * len(queries):
                codes, owners = self._plain(queries, first, first + count), everyone
            else:
                codes, owners = map(torch.from_numpy, np.divmod(candidates, len(queries)))
                codes += first
            exact = self._exact(queries, owners, codes)
            highest = best.scatter_reduce(0, owners, exact, "amax")
            won = (exact > best[owners]) & (exact == highest[owners])
            index.scatter_reduce_(0, owners[won], codes[won], "amin", include_self=False)
            best = highest
        return index

    def _plain(self, queries: torch.Tensor, first: int, last: int) -> torch.Tensor:
        codes, norms = self.codebook[first:last].double(), self.half_norms[first:last].double()
        return first + nearest_codes(queries.double(), codes, norms)

    def _exact(
        self, queries: torch.Tensor, owners: torch.Tensor, codes: torch.Tensor
    ) -> torch.Tensor:
        """Scores of single codes for single queries, (m,) float64."""
        products = queries[owners].double().mul_(self.codebook[codes])
        return products.sum(dim=1) - self.half_norms[codes]


def _lengths(vectors: torch.Tensor) -> torch.Tensor:
    return torch.linalg.vector_norm(vectors, dim=1, dtype=torch.float64)


def _longest(vectors: torch.Tensor) -> float:
    """The largest length, or a little more than what float32 may make of it."""
    longest = torch.linalg.vector_norm(vectors, dim=1).max().item()
    return longest * (1 + vectors.shape[1] * 2.0**-23)


def _bfloat16_terms(numbers: torch.Tensor) -> torch.Tensor:
    """Numbers (n,) float32 as sums of bfloat16 ones (n, NUM_TERMS), within 2^-27 of their size."""
    terms, rest = [], numbers
    for _ in range(NUM_TERMS):
        terms.append(rest.bfloat16())
        rest = rest - terms[-1]
    return torch.stack(terms, dim=1)
