"""What this package was tested with, and a line where something newer is met."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass
from importlib import metadata

_SAID = "ESPNET_BSCODEC_VERSIONS_SAID"  # in the environment, so that of many processes one speaks


@dataclass(frozen=True)
class Span:
    """Versions from ``low`` to ``high``; of a longer version only as many numbers count."""

    low: str
    high: str = ""

    def __str__(self) -> str:
        return f"{self.low} to {self.high}" if self.high else self.low

    def __contains__(self, version: str) -> bool:
        return not self.is_below(version) and _key(version, self.low) >= _key(self.low)

    def is_below(self, version: str) -> bool:
        """Tell whether ``version`` is newer than all of these."""
        highest = self.high or self.low
        return _key(version, highest) > _key(highest)


# A row: versions that were tested together, and with what.
NAMES = ("Python", "ESPnet", "torch", "numpy")
SOME = "plug-in, commands, tokens"
TESTED: tuple[tuple[tuple[Span, ...], str], ...] = (
    ((Span("3.10"), Span("202511"), Span("2.11"), Span("2.2")), SOME),
    ((Span("3.11"), Span("202511"), Span("2.11"), Span("2.3")), "make test"),
    ((Span("3.12"), Span("202609"), Span("2.11"), Span("2.3")), SOME),
    ((Span("3.12"), Span("202611"), Span("2.14"), Span("2.5")), "make test"),
    ((Span("3.13"), Span("202611"), Span("2.14"), Span("2.5")), SOME),
)


def installed() -> tuple[str, ...]:
    """Return the versions here in the order of ``NAMES``, "-" for what is not installed."""
    found = [".".join(map(str, sys.version_info[:3]))]
    for name in NAMES[1:]:
        try:
            found.append(metadata.version(name))
        except metadata.PackageNotFoundError:
            found.append("-")
    return tuple(found)


def how_tested(versions: tuple[str, ...]) -> str:
    """Return what these versions, as `installed` gives them, were tested with; "" for nothing."""
    for spans, how in TESTED:
        if all(version in span for version, span in zip(versions, spans, strict=True)):
            return how
    return ""


def newer(versions: tuple[str, ...]) -> list[str]:
    """Return name and version of what is newer than in every row of the table."""
    return [
        f"{name} {version}"
        for column, (name, version) in enumerate(zip(NAMES, versions, strict=True))
        if all(spans[column].is_below(version) for spans, _ in TESTED)
    ]


def say_if_newer() -> None:
    """Say in one line on stderr, once in all processes, what is newer than what was tested."""
    if _SAID in os.environ:
        return
    os.environ[_SAID] = "1"
    found = newer(installed())
    if found:
        from logging import getLogger

        # by name, as in plugin.py: logging.warning() would set up logging before ESPnet does
        getLogger("espnet_bscodec").warning(
            "espnet-bscodec: newer than what was tested: %s (see 'bscodec versions'; tested: %s)",
            ", ".join(found),
            ", ".join(f"{name} {span}" for name, span in zip(NAMES, TESTED[-1][0], strict=True)),
        )


def _key(version: str, like: str | None = None) -> tuple[int, ...]:
    """Return the numbers of a version, as many as ``like`` has."""
    numbers = tuple(map(int, re.findall(r"\d+", version)))
    return numbers if like is None else numbers[: len(_key(like))]
