"""Tables of Markdown: scores, benchmarks and studies are all written by this."""

from collections.abc import Iterable, Sequence


def markdown_table(
    head: Sequence[object],
    rows: Iterable[Sequence[object]],
    num_names: int = 1,
    padded: bool = False,
) -> list[str]:
    """Return the lines of a table: the first ``num_names`` columns flush left, others right.

    ``padded`` aligns the columns of the text itself.
    """
    texts = [[str(cell) for cell in row] for row in (head, *rows)]
    if not padded:
        rule = "|---" * num_names + "|---:" * (len(head) - num_names) + "|"
        lines = [f"| {' | '.join(row)} |" for row in texts]
        return [lines[0], rule, *lines[1:]]
    widths = [max(3, *map(len, column)) for column in zip(*texts, strict=True)]
    ends = [width if i < num_names else width - 1 for i, width in enumerate(widths)]
    texts.insert(1, ["-" * end + ":" * (w - end) for w, end in zip(widths, ends, strict=True)])
    return [
        "| "
        + " | ".join(
            text.ljust(width) if i < num_names else text.rjust(width)
            for i, (text, width) in enumerate(zip(row, widths, strict=True))
        )
        + " |"
        for row in texts
    ]
