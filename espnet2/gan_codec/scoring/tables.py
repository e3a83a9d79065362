"""Scores as text: the paper's table and what belongs to it in Markdown, and a TSV of all pairs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from espnet2.gan_codec.bscodec.format.tables import tsv_line
from espnet2.gan_codec.scoring.markdown import markdown_table
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE, DOMAINS
from espnet2.gan_codec.scoring.result import Result
from espnet2.gan_codec.scoring.statistics import CONFIDENCE, Estimate
from espnet2.gan_codec.scoring.summary import System

ARROWS = {"lower": "↓", "higher": "↑"}
NOTHING = "–"


@dataclass(frozen=True)
class Cell:
    """A number of a table as text, and whether none in its column is better."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Table:
    """A table of systems: a head of (domain, metric with its arrow), a row a system."""

    head: list[tuple[str, str]]
    rows: list[tuple[str, list[Cell]]]


def comparison(systems: Sequence[System], paper: bool) -> Table:
    """Compare systems: bitrate, then metrics by domain; columns without a value are left out.

    Args:
        paper: take the columns of the paper's table; else all the others.
    """
    columns = [
        (domain, name)
        for domain in DOMAINS
        for name, entry in CATALOGUE.items()
        if (domain in entry.paper) == paper and any(_mean(s, domain, name) for s in systems)
    ]
    bitrates = [s.all.kbps for s in systems]
    rates = [Cell(NOTHING if k is None else f"{k:.2f}") for k in bitrates]
    cells = [rates, *(_column(systems, domain, name) for domain, name in columns)]
    head = [("", "kbps")]
    head += [(d, f"{name} {ARROWS[CATALOGUE[name].better]}") for d, name in columns]
    rows = [(s.name, list(row)) for s, row in zip(systems, zip(*cells, strict=True), strict=True)]
    return Table(head, rows)


def costs(systems: Sequence[System]) -> Table:
    """Compare what systems cost: measured bitrate, and speed where the run did the coding."""
    known = [s for s in systems if s.all.encode_speed and s.all.decode_speed]
    head = [("", "kbps"), ("encoding", "× real time"), ("decoding", "× real time")]
    return Table(
        head,
        [
            (
                s.name,
                [
                    Cell(NOTHING if s.all.kbps is None else f"{s.all.kbps:.2f}"),
                    Cell(f"{s.all.encode_speed:.1f}"),
                    Cell(f"{s.all.decode_speed:.1f}"),
                ],
            )
            for s in known
        ],
    )


def to_markdown(
    systems: Sequence[System], missing: Mapping[str, str], messages: Sequence[str] = ()
) -> str:
    """Return ``summary.md``: tables, intervals, codebooks, and what has no score and why.

    Args:
        missing: why metrics were left out, by name.
        messages: on where numbers come from.
    """
    parts = ["# Scores", "", *_markdown(comparison(systems, paper=True))]
    further = comparison(systems, paper=False)
    if len(further.head) > 1:
        parts += ["", "## Further metrics", "", *_markdown(further)]
    speeds = costs(systems)
    if speeds.rows:
        parts += ["", "## Speed", "", *_markdown(speeds)]
    parts += ["", f"## Means with {CONFIDENCE:.0%} bootstrap intervals", "", *_intervals(systems)]
    books = [s for s in systems if s.codes]
    if books:
        parts += ["", "## Codebooks", "", *_codebooks(books)]
    notes = [f"- Not scored: {reason}." for reason in missing.values()]
    notes += [f"- {message[0].upper()}{message[1:]}." for message in messages]
    notes += [f"- {_escape(s.name)}: {log}." for s in systems for log in counts(s)]
    return "\n".join([*parts, *(["", "## Notes", "", *notes] if notes else []), ""])


def to_tsv(results: Iterable[Result], bits: Mapping[tuple[str, str], int]) -> str:
    """Return ``utterances.tsv``: a head, and a line a pair; empty where there is no value.

    Args:
        bits: of utterances, by system and name, where they are known.
    """
    results = list(results)
    names = [n for n in CATALOGUE if any(n in o.task.metrics for o in results)]
    head = ["system", "utterance", "domain", "seconds", "bits", *names]
    head += ["sampling_rate", "decoded_sampling_rate", "reference", "decoded", "error"]
    lines = [tsv_line(head)]
    for o in results:
        errors = [o.failure] if o.failure else [f"{n}: {r}" for n, r in o.reasons.items()]
        lines.append(
            tsv_line(
                [
                    *(o.task.system, o.task.name, o.task.domain, o.seconds),
                    bits.get((o.task.system, o.task.name), ""),
                    *(o.values.get(name, "") for name in names),
                    *o.rates,
                    *(o.task.reference, o.task.decoded),
                    "; ".join(errors),
                ]
            )
        )
    return "".join(lines)


def _mean(system: System, domain: str, name: str) -> Estimate | None:
    group = system.domains.get(domain)
    return group.metrics.get(name) if group else None


def _column(systems: Sequence[System], domain: str, name: str) -> list[Cell]:
    """The best is marked where there are two systems or more; equal as shown, equally good."""
    entry = CATALOGUE[name]
    means = [_mean(s, domain, name) for s in systems]
    shown = [f"{m.mean:.{entry.digits}f}" if m else None for m in means]
    numbers = [float(text) for text in shown if text is not None]
    best = min(numbers) if entry.better == "lower" else max(numbers)
    several = len(numbers) > 1
    return [
        Cell(NOTHING) if text is None else Cell(text, several and float(text) == best)
        for text in shown
    ]


def _markdown(table: Table) -> list[str]:
    head = [f"{domain} {metric}".strip() for domain, metric in table.head]
    rows = [
        [_escape(name), *(f"**{c.text}**" if c.best else c.text for c in cells)]
        for name, cells in table.rows
    ]
    return markdown_table(["system", *head], rows)


def _intervals(systems: Iterable[System]) -> list[str]:
    rows = []
    for s in systems:
        for domain, group in s.domains.items():
            for name, e in group.metrics.items():
                entry = CATALOGUE[name]
                mean, low, high = (f"{x:.{entry.digits}f}" for x in (e.mean, e.low, e.high))
                metric = f"{name} {ARROWS[entry.better]}"
                rows.append(
                    [_escape(s.name), domain, metric, mean, f"{low} to {high}", str(e.count)]
                )
    return markdown_table(["system", "domain", "metric", "mean", "interval", "utterances"], rows)


def _codebooks(systems: Iterable[System]) -> list[str]:
    rows = [
        [
            _escape(s.name),
            str(number),
            str(book.size or NOTHING),
            f"{book.used}" + (f" ({book.usage:.1%})" if book.usage is not None else ""),
            f"{book.perplexity:.1f}",
        ]
        for s in systems
        if s.codes
        for number, book in enumerate(s.codes.books, 1)
    ]
    return markdown_table(["system", "band", "codes", "used", "perplexity"], rows)


def counts(system: System) -> list[str]:
    """Say what failed, what was done to the audio, and what is not known."""
    group = system.all
    notes = []
    if group.failed:
        notes.append(f"{group.failed} of {group.pairs} pairs failed")
    if group.resampled:
        notes.append(f"{group.resampled} decoded files were resampled to the reference's rate")
    notes += [
        f"{name} has no value for {n} of {group.pairs - group.failed} pairs"
        for name, n in group.undefined.items()
    ]
    if system.codes and system.codes.bits_per_frame is None:
        notes.append(
            "its codebooks' sizes are not known (--codebook-sizes), so neither its bitrate"
        )
    return notes


def _escape(text: str) -> str:
    return text.replace("|", "\\|")
