"""Tables of text separated by tabs, as Python's ``csv`` reads them, whatever stands in a field."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator

QUOTED = '\t\r\n"'  # what a field is put into quotes for
FORMULAS = ("=", "+", "-", "@")  # what a formula of a spreadsheet begins with


def tsv_line(fields: Iterable[object]) -> str:
    """Return a line of a table; ``csv.writer`` before Python 3.13 leaves a bare CR unquoted."""
    return "\t".join(map(_quoted, fields)) + "\n"


def _quoted(field: object) -> str:
    text = str(field)
    if any(character in text for character in QUOTED):
        return '"' + text.replace('"', '""') + '"'
    return text


def read_tsv(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the fields of every line of a file that was opened with ``newline=""``.

    Raises:
        ValueError: it is no such table.
    """
    try:
        yield from csv.reader(lines, delimiter="\t")
    except csv.Error as error:
        raise ValueError(f"no table: {error}") from error


def formula_note(table: object, texts: Iterable[object]) -> str | None:
    """Return a line about texts that a spreadsheet would compute; None where there are none."""
    count = sum(str(text).startswith(FORMULAS) for text in texts)
    if not count:
        return None
    return (
        f"{table}: {count} names or paths begin with {' '.join(FORMULAS)}: a spreadsheet takes "
        "those for formulas unless it is told that they are text"
    )
