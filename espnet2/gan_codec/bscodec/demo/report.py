"""The page: one HTML file that holds everything it shows and asks for nothing else."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from espnet2.gan_codec.bscodec.demo.info import ModelInfo, RunInfo
from espnet2.gan_codec.bscodec.demo.results import COLUMNS, DomainResult, cells
from espnet2.gan_codec.bscodec.demo.run import RUNS, CodedClip
from espnet2.gan_codec.bscodec.format.pictures import MAX_COLUMNS, RANGE_DB
from espnet2.gan_codec.scoring.report.original_decoded import Mark, Side, axis_marks, draw_sides
from espnet2.gan_codec.scoring.report.templates import load_template

TEMPLATE = Path(__file__).with_name("template.html")


@dataclass(frozen=True)
class Panel:
    """A clip with its sides and the axes that they share."""

    coded: CodedClip
    sides: list[Side]
    seconds: list[Mark]


def build_report(
    coded: Sequence[CodedClip], domains: Sequence[DomainResult], model: ModelInfo, run: RunInfo
) -> str:
    """Return the page as text.

    Args:
        coded: the clips, those of one domain next to each other.
        domains: rows as of ``pool_domains``.
        model, run: what stands below the clips.
    """
    nyquist = model.sampling_rate / 2
    return load_template(TEMPLATE).render(
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


def draw(coded: CodedClip) -> Panel:
    """Draw and encode both sides of a clip."""
    signals = {"original": coded.original, "decoded": coded.decoded}
    sides = draw_sides(signals, coded.sampling_rate)
    return Panel(coded, sides, axis_marks(coded.result.seconds))


def _groups(
    clips: Sequence[DomainResult], domains: Sequence[DomainResult]
) -> list[tuple[DomainResult, list[DomainResult]]]:
    """Put every domain's row together with the rows of its clips; ``all`` has none of its own."""
    return [(domain, [r for r in clips if r.domain == domain.name]) for domain in domains]
