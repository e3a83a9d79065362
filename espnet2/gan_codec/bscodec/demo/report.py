"""The page: one HTML file that holds everything it shows and asks for nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from espnet2.gan_codec.bscodec.demo.facts import ModelFacts, RunFacts
from espnet2.gan_codec.bscodec.demo.pictures import (
    MAX_COLUMNS,
    RANGE_DB,
    data_uri,
    power_spectrogram,
    spectrogram_png,
    waveform_path,
)
from espnet2.gan_codec.bscodec.demo.results import COLUMNS, Result, cells
from espnet2.gan_codec.bscodec.demo.run import RUNS, Coded, flac

TEMPLATE = "template.html"  # includes style.css and player.js, which lie beside it
_STEPS = (1, 2, 5)  # between the marks of an axis, times a power of ten
_MAX_MARKS = 5


@dataclass(frozen=True)
class Mark:
    """A mark on an axis: where, in % of its length, and what it says."""

    place: float
    text: str


@dataclass(frozen=True)
class Side:
    """One of the two sides of a clip, drawn and ready to be heard."""

    name: str
    audio: str
    waveform: str
    spectrogram: str


@dataclass(frozen=True)
class Panel:
    """A clip with both sides and the axes that they share."""

    coded: Coded
    sides: tuple[Side, Side]
    seconds: list[Mark]


def build_report(
    coded: Sequence[Coded], domains: Sequence[Result], model: ModelFacts, run: RunFacts
) -> str:
    """Return the page as text.

    Args:
        coded: the clips, those of one domain next to each other.
        domains: rows as of ``pool_domains``.
        model, run: what stands below the clips.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    nyquist = model.sampling_rate / 2
    return environment.get_template(TEMPLATE).render(
        groups=_groups([c.result for c in coded], domains),
        total=domains[-1],
        columns=[heading for heading, _ in COLUMNS.values()],
        cells=cells,
        panels=[draw(c) for c in coded],
        kilohertz=axis_marks(nyquist / 1000),
        edges=[Mark(100 * b.high / nyquist, f"{b.high / 1000:g}") for b in model.bands],
        anchors={c.clip.name: f"clip-{i}" for i, c in enumerate(coded, 1)},
        width=MAX_COLUMNS,
        range_db=RANGE_DB,
        runs=RUNS,
        model=model,
        run=run,
    )


def draw(coded: Coded) -> Panel:
    """Draw and encode both sides of a clip, on the same scales."""
    peak = float(max(np.abs(coded.original).max(), np.abs(coded.decoded).max()))
    brightest = float(power_spectrogram(coded.original).max())
    sides = tuple(
        Side(
            name=name,
            audio=data_uri(flac(audio, coded.sampling_rate), "audio/flac"),
            waveform=waveform_path(audio, peak),
            spectrogram=data_uri(
                spectrogram_png(power_spectrogram(audio), brightest), "image/png"
            ),
        )
        for name, audio in (("original", coded.original), ("decoded", coded.decoded))
    )
    return Panel(coded, sides, axis_marks(coded.result.seconds))


def axis_marks(end: float) -> list[Mark]:
    """Return marks at round numbers from 0 to at most ``end``, five or fewer of them."""
    steps = (step * 10.0**power for power in range(-6, 7) for step in _STEPS)
    step = next(step for step in steps if end / step < _MAX_MARKS)
    return [Mark(100 * i * step / end, f"{i * step:g}") for i in range(int(end / step) + 1)]


def _groups(
    clips: Sequence[Result], domains: Sequence[Result]
) -> list[tuple[Result, list[Result]]]:
    """Put every domain's row together with the rows of its clips; ``all`` has none of its own."""
    return [(domain, [r for r in clips if r.domain == domain.name]) for domain in domains]
