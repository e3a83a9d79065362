"""A picture of cost against length: time and memory, encoding and decoding."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure import DIRECTIONS, ResourceUse
from benchmarks.results import Results, growth_systems
from benchmarks.table import length


def plot(results: Results, path: Path) -> None:
    """Draw what was run at several lengths; the suffix of ``path`` says how, PNG or SVG.

    Raises:
        OSError: the file cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 7), layout="constrained")
    panels = figure.subplots(2, 2, sharex=True, sharey="row")
    quantities = {"time (s)": _seconds, "peak memory above the model (GB)": _gigabytes}
    for row, (label, quantity) in zip(panels, quantities.items(), strict=True):
        row[0].set_ylabel(label)
        for panel, direction in zip(row, DIRECTIONS, strict=True):
            _draw(panel, results, direction, quantity)
    lengths = sorted({cost.audio_seconds for cost in results.costs})
    for panel, direction in zip(panels[0], DIRECTIONS, strict=True):
        panel.set_title(direction)
    for panel in panels[1]:
        panel.set_xlabel("length of the audio")
        panel.set_xticks(lengths, [length(seconds) for seconds in lengths])
        panel.minorticks_off()
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    figure.savefig(path, dpi=110)


def _draw(panel, results: Results, direction: str, quantity) -> None:
    panel.set(xscale="log", yscale="log")
    panel.grid(True, which="major", alpha=0.3)
    for i, (model, form) in enumerate(growth_systems(results)):
        runs = [
            c for c in results.costs if (c.model, c.form, c.direction) == (model, form, direction)
        ]
        points = [(c.audio_seconds, quantity(c)) for c in runs if quantity(c) is not None]
        if points:
            panel.plot(*zip(*points, strict=True), "o-", color=f"C{i}", label=f"{model}, {form}")


def _seconds(cost: ResourceUse) -> float | None:
    return cost.elapsed_seconds


def _gigabytes(cost: ResourceUse) -> float | None:
    if cost.peak_bytes is None or cost.base_bytes is None:
        return None
    return max(cost.peak_bytes - cost.base_bytes, 1) / 1e9
