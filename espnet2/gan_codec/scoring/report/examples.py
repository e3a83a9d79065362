"""The utterances that went worst, as something to see and hear."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from espnet2.gan_codec.scoring.metrics.band_energy import EDGES
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE
from espnet2.gan_codec.scoring.report.original_decoded import (
    Mark,
    Side,
    axis_marks,
    draw_sides,
)
from espnet2.gan_codec.scoring.result import Result
from espnet2.gan_codec.scoring.workers import read_pair

WORST = 10
MAX_SECONDS = 6.0  # of an utterance that the page carries
# The first of these that all utterances of a system have: defined alike in every domain.
RANKING = ("mel", "STFT", "SI-SDR")


@dataclass(frozen=True)
class Example:
    """One utterance of a system.

    Attributes:
        begin: of the excerpt, in seconds; None where it is the whole utterance.
        kilohertz, seconds: marks on the axes.
        edges: of the bands whose energies are listed.
    """

    result: Result
    begin: float | None
    sides: list[Side]
    kilohertz: list[Mark]
    edges: list[Mark]
    seconds: list[Mark]


@dataclass(frozen=True)
class Worst:
    """The worst utterances of a system by the metric ``by``, the very worst first."""

    system: str
    by: str
    examples: list[Example]


def worst_of(system: str, results: Sequence[Result]) -> Worst | None:
    """Pick, read, draw and encode; None where nothing was scored."""
    scored = [o for o in results if o.task.system == system and o.values]
    if not scored:
        return None
    names = [*RANKING, *CATALOGUE]
    shared = [n for n in names if all(n in o.values for o in scored)]
    by = shared[0] if shared else max(names, key=lambda n: sum(n in o.values for o in scored))
    sign = -1 if CATALOGUE[by].better == "lower" else 1
    ranked = sorted((o for o in scored if by in o.values), key=lambda o: sign * o.values[by])
    return Worst(system, by, [_example(o) for o in ranked[:WORST]])


def _example(result: Result) -> Example:
    pair, _ = read_pair(result.task.reference, result.task.decoded)
    rate = pair.sampling_rate
    original, decoded = pair.at(rate)
    begin = None
    if pair.duration > MAX_SECONDS:
        start = _most_different(original, decoded, int(MAX_SECONDS * rate))
        original, decoded = (
            x[start : start + int(MAX_SECONDS * rate)] for x in (original, decoded)
        )
        begin = start / rate
    nyquist = rate / 2
    edges = [e for e in EDGES[1:] if e < nyquist]
    return Example(
        result,
        begin,
        draw_sides({"original": original, "decoded": decoded}, rate),
        axis_marks(nyquist / 1000),
        [Mark(100 * e / nyquist, f"{e / 1000:g}") for e in (*edges, nyquist)],
        axis_marks(len(original) / rate),
    )


def _most_different(original: np.ndarray, decoded: np.ndarray, length: int) -> int:
    """Return where the segment of ``length`` samples begins that holds most of the difference."""
    squares = np.square((decoded - original).astype(np.float64))
    total = np.concatenate([[0.0], np.cumsum(squares)])
    return int(np.argmax(total[length:] - total[:-length]))
