"""The page: one HTML file that holds everything it shows and asks for nothing else."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from espnet2.gan_codec.scoring.metrics.metric import optional_module
from espnet2.gan_codec.scoring.report.templates import load_template
from espnet2.gan_codec.scoring.result import Result
from espnet2.gan_codec.scoring.statistics import CONFIDENCE
from espnet2.gan_codec.scoring.summary import System
from espnet2.gan_codec.scoring.tables import comparison, costs, counts

TEMPLATE = Path(__file__).with_name("scores.html")
MAX_FAILURES = 20  # that are named


def build_report(
    systems: Sequence[System],
    results: Sequence[Result],
    missing: Mapping[str, str],
    command: str,
    messages: Sequence[str] = (),
) -> str:
    """Return the page as text.

    Args:
        missing: why metrics were left out, by name.
        messages: as of ``tables.to_markdown``.
        command: that made the scores.

    Raises:
        UnavailableError: the packages that draw pages are not installed.
    """
    optional_module("jinja2", "jinja2")
    optional_module("matplotlib", "matplotlib")
    from espnet2.gan_codec.bscodec.format.pictures import MAX_COLUMNS, RANGE_DB
    from espnet2.gan_codec.scoring.report import examples, plots

    names = [s.name for s in systems]
    further, speeds = comparison(systems, paper=False), costs(systems)
    return load_template(TEMPLATE).render(
        systems=systems,
        utterances=len({o.task.name for o in results}),
        tables=[
            ("", comparison(systems, paper=True)),
            *([("Further metrics", further)] if len(further.head) > 1 else []),
            *([("Speed", speeds)] if speeds.rows else []),
        ],
        confidence=f"{CONFIDENCE:.0%}",
        rate_plots=plots.rate_plots(systems),
        bands=plots.band_names(),
        energies=plots.energy_table(names, results),
        histograms={s.name: plots.histograms(s) for s in systems if s.codes},
        scatter=plots.scatter_data(names, results),
        worst=list(filter(None, (examples.worst_of(name, results) for name in names))),
        failures=[o for o in results if o.failure],
        max_failures=MAX_FAILURES,
        notes=[
            *(f"Not scored: {m}." for m in missing.values()),
            *(f"{r[0].upper()}{r[1:]}." for r in messages),
            *_notes(systems),
        ],
        plot_width=plots.WIDTH,
        plot_height=plots.HEIGHT,
        width=MAX_COLUMNS,
        range_db=RANGE_DB,
        command=command,
    )


def _notes(systems: Sequence[System]) -> list[str]:
    return [f"{s.name}: {log}." for s in systems for log in counts(s)]
