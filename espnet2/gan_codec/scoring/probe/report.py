"""A table and a picture of the probe's results."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np

from espnet2.gan_codec.scoring.markdown import markdown_table
from espnet2.gan_codec.scoring.probe.measure import Result

HEAD = ("signal", "number", "pass", "mean abs. level error (dB)", "worst (dB)", "least in place")


def summary(results: Sequence[Result]) -> list[str]:
    """Return the lines of a table, a row a kind of signal."""
    rows = []
    for kind in dict.fromkeys(result.kind for result in results):
        ours = [result for result in results if result.kind == kind]
        errors = np.array([result.level_error for result in ours])
        shares = [result.share for result in ours if result.share is not None]
        rows.append(
            (
                kind,
                len(ours),
                sum(result.passes for result in ours),
                f"{np.abs(errors).mean():.1f}",
                f"{errors[np.abs(errors).argmax()]:+.1f}",
                f"{min(shares):.0%}" if shares else "",
            )
        )
    return markdown_table(HEAD, rows, padded=True)


def tone_picture(results: Sequence[Result]) -> bytes:
    """Draw level error and share in place of the tones, by frequency and level: a PNG."""
    from matplotlib.figure import Figure

    tones = [result for result in results if result.kind == "tone"]
    frequencies = sorted({result.frequency for result in tones if result.frequency})
    levels = sorted({result.level for result in tones if result.level is not None})
    error = np.full((len(levels), len(frequencies)), np.nan)
    share = error.copy()
    for result in tones:
        if result.level is not None and result.frequency and result.share is not None:
            place = levels.index(result.level), frequencies.index(result.frequency)
            error[place], share[place] = result.level_error, 100 * result.share
    figure = Figure(figsize=(9, 5), layout="constrained")
    panels = (
        ("level error (dB)", error, "coolwarm", -24, 24, "+.0f"),
        ("energy within 3 % of the frequency (%)", share, "viridis", 0, 100, ".0f"),
    )
    for axes, panel in zip(figure.subplots(2, 1), panels, strict=True):
        title, values, colours, low, high, form = panel
        axes.imshow(values, cmap=colours, vmin=low, vmax=high, origin="lower", aspect="auto")
        axes.set_title(f"tones: {title}")
        axes.set_xticks(range(len(frequencies)), [f"{f:g}" for f in frequencies])
        axes.set_yticks(range(len(levels)), [f"{level:g}" for level in levels])
        axes.set_ylabel("dBFS")
        for (row, column), value in np.ndenumerate(values):
            axes.text(column, row, format(value, form), ha="center", va="center", fontsize=7)
    figure.supxlabel("Hz")
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=110)
    return file.getvalue()
