"""Numbers laid out as drawings, in units of the drawing; the page only has to put them down."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from espnet2.gan_codec.scoring.metrics.band_energy import EDGES
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE, DOMAINS
from espnet2.gan_codec.scoring.result import Result
from espnet2.gan_codec.scoring.summary import System
from espnet2.gan_codec.scoring.tables import ARROWS

WIDTH, HEIGHT = 320, 200  # of the area between a drawing's axes
_ROOM = 0.08  # of the axis, left free at both ends
_FULL_TINT = 12.0  # dB of difference that colour a cell fully


@dataclass(frozen=True)
class Point:
    """A system in a rate-quality plot: its place, and the ends of its interval."""

    system: str
    number: int
    x: float
    y: float
    low: float
    high: float
    text: str


@dataclass(frozen=True)
class RatePlot:
    """One metric of one domain over the bitrate; ticks are (place, text)."""

    title: str
    points: list[Point]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


@dataclass(frozen=True)
class EnergyCell:
    """Decoded over original energy of a band; ``tint`` in -1..1 colours the cell."""

    text: str
    tint: float


@dataclass(frozen=True)
class Histogram:
    """Shares of frames by codes, the most frequent first: bars as (x, y, width, height)."""

    title: str
    caption: str
    bars: list[tuple[float, float, float, float]]


def rate_plots(systems: Sequence[System]) -> list[RatePlot]:
    """Draw every metric of the paper over kbit/s, where two systems or more have a bitrate."""
    plots = []
    for domain in DOMAINS:
        for name, entry in CATALOGUE.items():
            known = [
                (number, s.name, kbps, s.domains[domain].metrics[name])
                for number, s in enumerate(systems)
                if domain in s.domains
                and (kbps := s.domains[domain].kbps)
                and name in s.domains[domain].metrics
            ]
            if domain not in entry.paper or len(known) < 2:
                continue
            across = _Scale([math.log(k) for _, _, k, _ in known], WIDTH)
            up = _Scale([v for *_, e in known for v in (e.low, e.high)], HEIGHT)
            points = [
                Point(
                    system,
                    number,
                    across(math.log(kbps)),
                    HEIGHT - up(e.mean),
                    HEIGHT - up(e.low),
                    HEIGHT - up(e.high),
                    f"{system}: {kbps:.2f} kbit/s, {e.mean:.{entry.digits}f}",
                )
                for number, system, kbps, e in known
            ]
            x_ticks = [(across(math.log(k)), f"{k:g}") for k in _log_marks(across)]
            y_ticks = [(HEIGHT - up(v), f"{v:g}") for v in _marks(up.low, up.high)]
            title = f"{domain}: {name} {ARROWS[entry.better]}"
            plots.append(RatePlot(title, points, x_ticks, y_ticks))
    return plots


def energy_table(
    systems: Sequence[str], results: Sequence[Result]
) -> list[tuple[str, list[tuple[str, list[EnergyCell]]]]]:
    """Return for each domain a row a system: energy kept in each band, over all utterances."""
    table = []
    for domain in DOMAINS:
        rows = []
        for system in systems:
            ours = [
                o.energies
                for o in results
                if (o.task.system, o.task.domain) == (system, domain) and o.energies[0]
            ]
            if ours:
                original, decoded = np.sum(ours, axis=0)
                cells = [_energy_cell(a, b) for a, b in zip(original, decoded, strict=True)]
                rows.append((system, cells))
        if rows:
            table.append((domain, rows))
    return table


def band_names() -> list[str]:
    """Return the heads of the columns of :func:`energy_table`."""
    return [f"{a / 1000:g} to {b / 1000:g} kHz" for a, b in zip(EDGES, EDGES[1:], strict=False)]


def histograms(system: System) -> list[Histogram]:
    """Draw the use of each codebook of a system, the bars' areas adding up to its frames."""
    drawings = []
    for number, book in enumerate(system.codes.books if system.codes else (), 1):
        width = WIDTH / len(book.histogram)
        tallest = max(book.histogram)
        bars = [
            (i * width, HEIGHT / 2 * (1 - share / tallest), width, HEIGHT / 2 * share / tallest)
            for i, share in enumerate(book.histogram)
            if share
        ]
        of = f" of {book.size}" if book.size else ""
        caption = f"{book.used}{of} codes used, perplexity {book.perplexity:.1f}"
        drawings.append(Histogram(f"Band {number}", caption, bars))
    return drawings


def scatter_data(systems: Sequence[str], results: Sequence[Result]) -> dict:
    """Return every scored pair for the script that draws them: short keys keep the page small."""
    names = [n for n in CATALOGUE if any(n in o.values for o in results)]
    return {
        "systems": list(systems),
        "metrics": [{"name": n, "arrow": ARROWS[CATALOGUE[n].better]} for n in names],
        "pairs": [
            {
                "s": systems.index(o.task.system),
                "d": o.task.domain,
                "n": o.task.name,
                "v": [_short(o.values.get(n)) for n in names],
            }
            for o in results
            if o.values
        ],
    }


class _Scale:
    """A linear way from values to places, with some room around them."""

    def __init__(self, values: Sequence[float], length: float) -> None:
        low, high = min(values), max(values)
        room = _ROOM * (high - low) or 0.05 * abs(high) or 1.0
        self.low, self.high, self._length = low - room, high + room, length

    def __call__(self, value: float) -> float:
        return round(self._length * (value - self.low) / (self.high - self.low), 2)


def _marks(low: float, high: float) -> list[float]:
    """Round numbers from low to high: three to six of them."""
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough)
    first = math.ceil(low / step)
    return [round(i * step, 10) for i in range(first, int(math.floor(high / step)) + 1)]


def _log_marks(scale: _Scale) -> list[float]:
    low, high = math.exp(scale.low), math.exp(scale.high)
    marks = [s * 10.0**p for p in range(-2, 4) for s in (1, 1.5, 2, 3, 4.5, 6, 8)]
    inside = [m for m in marks if low <= m <= high]
    return inside if len(inside) >= 2 else [round(low, 2), round(high, 2)]


def _energy_cell(original: float, decoded: float) -> EnergyCell:
    if original <= 0 or decoded <= 0:
        return EnergyCell("–" if original <= 0 else "-∞", 0.0 if original <= 0 else -1.0)
    decibels = 10 * math.log10(decoded / original)
    return EnergyCell(f"{decibels:+.1f}", max(-1.0, min(1.0, decibels / _FULL_TINT)))


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")
