"""What is asked about a pair of files, and what came of it."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Task:
    """A pair of files to score.

    Attributes:
        system: that decoded it.
        name: of the utterance.
        metrics: names in the catalogue.
    """

    system: str
    name: str
    domain: str
    reference: Path
    decoded: Path
    metrics: tuple[str, ...]


@dataclass(frozen=True)
class Result:
    """The scores of one pair.

    Attributes:
        seconds: of audio that were compared; 0 for a failed pair.
        rates: of the reference and of the decoded file, in Hz.
        energies: of the reference and of the decoded audio, by bands.
        values: of the metrics, by name.
        reasons: why other metrics have no value, by name.
        failure: why the pair could not be scored at all.
    """

    task: Task
    seconds: float = 0.0
    rates: tuple[int, int] = (0, 0)
    energies: tuple[tuple[float, ...], tuple[float, ...]] = ((), ())
    values: dict[str, float] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    failure: str | None = None
