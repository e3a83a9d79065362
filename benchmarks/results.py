"""All that one run of the benchmark found, as it goes into ``results.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field

from benchmarks.bound import Work
from benchmarks.measure import ResourceUse, Speed

NAIVE = "naive"


@dataclass
class Results:
    """What was measured, and where.

    Attributes:
        facts: of machine, software and settings, by name.
        left_out: why systems are missing, by name.
        peak: float32 operations a second of the machine's matrix products.
        work: operations of the models that have a naive form.
        training: the table of a training step, if that was asked for.
    """

    facts: dict[str, object]
    speeds: list[Speed] = field(default_factory=list)
    costs: list[ResourceUse] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)
    peak: float = 0.0
    work: list[Work] = field(default_factory=list)
    training: str = ""

    def systems(self) -> list[tuple[str, str]]:
        """(model, form) of all that was timed, in order."""
        return list(dict.fromkeys((s.model, s.form) for s in self.speeds))

    def lengths(self) -> list[float]:
        """Lengths of audio that all systems were timed at, in seconds."""
        return sorted({speed.audio_seconds for speed in self.speeds})

    def factor(self, model: str, form: str, direction: str, seconds: float) -> float | None:
        """Real-time factor, higher is faster: seconds of audio coded in a second."""
        taken = self._taken(model, form, direction, seconds)
        return taken and seconds / taken

    def ratio(self, model: str, form: str, direction: str, seconds: float) -> float | None:
        """How many times faster than the naive computation of the same model."""
        taken = self._taken(model, form, direction, seconds)
        naive = self._taken(model, NAIVE, direction, seconds)
        return naive / taken if naive and taken else None

    def bound(self, model: str, direction: str) -> float | None:
        """The real-time factor that a model's networks would have at the machine's peak."""
        work = _first(w for w in self.work if (w.model, w.direction) == (model, direction))
        return self.peak / work.flops if work and work.flops else None

    def cost(self, model: str, form: str, direction: str, seconds: float) -> ResourceUse | None:
        """What a run in a process of its own took."""
        return _first(
            c for c in self.costs if _key(c) == (model, form, direction) and _at(c, seconds)
        )

    def _taken(self, model: str, form: str, direction: str, seconds: float) -> float | None:
        speed = _first(
            s for s in self.speeds if _key(s) == (model, form, direction) and _at(s, seconds)
        )
        return speed and speed.elapsed_seconds

    def to_json(self) -> str:
        """Everything, unrounded."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Results:
        """Read what :meth:`to_json` wrote."""
        values = json.loads(text)
        values["speeds"] = [Speed(**row) for row in values["speeds"]]
        values["costs"] = [ResourceUse(**row) for row in values["costs"]]
        values["work"] = [Work(**row) for row in values["work"]]
        return cls(**values)


def growth_systems(results: Results) -> list[tuple[str, str]]:
    """(model, form) of those that were run at more than one length, in order."""
    rows: dict[tuple[str, str], set[float]] = {}
    for cost in results.costs:
        rows.setdefault((cost.model, cost.form), set()).add(cost.audio_seconds)
    return [system for system, lengths in rows.items() if len(lengths) > 1]


def _key(row: Speed | ResourceUse) -> tuple[str, str, str]:
    return row.model, row.form, row.direction


def _at(row: Speed | ResourceUse, seconds: float) -> bool:
    return row.audio_seconds == seconds


def _first(rows: Iterator):
    return next(iter(rows), None)
