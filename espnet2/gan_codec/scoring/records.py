"""``utterances.json``: all that is known of every pair, and the way back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from espnet2.gan_codec.bscodec.format.checked import (
    Damaged,
    integer,
    items,
    mapping,
    number,
    read_json,
    text,
)
from espnet2.gan_codec.scoring.metrics.band_energy import EDGES
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE, DOMAINS
from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.result import Result, Task
from espnet2.gan_codec.scoring.summary import CodingStats

UTTERANCES = "utterances.json"
_MAX_BYTES = 1 << 30
_COSTS = ("bits", "encode_seconds", "decode_seconds")


def records_text(
    results: Iterable[Result], costs: Mapping[str, CodingStats], settings: Mapping[str, str]
) -> str:
    """Return the file's contents; paths as they were given.

    Args:
        costs: by name of the system.
        settings: what values depend on, by name of the metric.
    """
    contents = {
        "settings": dict(settings),
        "outcomes": [asdict(result) for result in results],
        "costs": {s: {name: getattr(c, name) for name in _COSTS} for s, c in costs.items()},
    }
    return json.dumps(contents, indent=1, default=str) + "\n"


def read_runs(
    runs: Sequence[tuple[str | None, Path]],
) -> tuple[list[Result], dict[str, CodingStats], dict[str, set[str]]]:
    """Read the results of several runs as those of one, systems in the order they come in.

    With them come all that their values depend on, by name of the metric.

    Args:
        runs: what the run's only system is to be called, or None to keep names; its folder. The
            folder becomes part of the names of utterances.

    Raises:
        ScoringError: a folder holds no results, or a system's utterance is in two.
    """
    results: dict[str, list[Result]] = {}
    costs: dict[str, CodingStats] = {}
    settings: dict[str, set[str]] = {}
    seen: dict[tuple[str, str], Path] = {}
    for new_name, folder in runs:
        ours, their_costs, their_settings = _read(folder)
        for metric, setting in their_settings.items():
            settings.setdefault(metric, set()).add(setting)
        found = {o.task.system for o in ours}
        if new_name and len(found) > 1:
            raise ScoringError(f"{folder}: holds {len(found)} systems, so {new_name} names none")
        for result in ours:
            task = result.task
            system, name = new_name or task.system, f"{folder}/{task.name}"
            place = system, str(task.reference)
            if place in seen:
                raise ScoringError(
                    f"{seen[place]} and {folder} both hold {task.reference} for {system}: "
                    "give systems names, NAME=DIR"
                )
            seen[place] = folder
            renamed = replace(result, task=replace(task, system=system, name=name))
            results.setdefault(system, []).append(renamed)
            for kind in _COSTS:
                amounts = getattr(their_costs.get(task.system, CodingStats()), kind)
                if task.name in amounts:
                    getattr(costs.setdefault(system, CodingStats()), kind)[name] = amounts[
                        task.name
                    ]
    return [o for ours in results.values() for o in ours], costs, settings


def _read(folder: Path) -> tuple[list[Result], dict[str, CodingStats], dict[str, str]]:
    path = folder / UTTERANCES
    try:
        contents = read_json(path, _MAX_BYTES)
        results = [_result(mapping(record)) for record in items(contents["outcomes"])]
        costs = {s: _costs(mapping(cost)) for s, cost in mapping(contents["costs"]).items()}
        settings = mapping(contents.get("settings", {})).items()
        return results, costs, {name: text(setting) for name, setting in settings}
    except (ValueError, KeyError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise ScoringError(f"{path}: not a file of results: {reason}") from error


def checked_measures(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return length, rates and energies of a result that JSON has kept, as ``Result`` has them.

    Raises:
        KeyError, Damaged: one is missing, or of another type.
    """
    first, second = items(record["rates"], 2)
    sides = [items(side) for side in items(record["energies"], 2)]
    if [*map(len, sides)] not in ([0, 0], [len(EDGES) - 1] * 2):
        raise Damaged("energies of other bands")
    return {
        "seconds": number(record["seconds"]),
        "rates": (integer(first), integer(second)),
        "energies": tuple(tuple(number(e, finite=False) for e in side) for side in sides),
    }


def _result(record: Mapping[str, Any]) -> Result:
    task = mapping(record["task"])
    values, reasons = mapping(record["values"]), mapping(record["reasons"])
    metrics = tuple(text(name) for name in items(task["metrics"]))
    if unknown := ({*metrics, *values} - {*CATALOGUE}) | ({text(task["domain"])} - {*DOMAINS}):
        raise ValueError(f"there is no metric or domain {min(unknown)[:40]!r}")
    return Result(
        Task(
            text(task["system"]),
            text(task["name"]),
            text(task["domain"]),
            Path(text(task["reference"])),
            Path(text(task["decoded"])),
            metrics,
        ),
        **checked_measures(record),
        values={name: number(value, finite=False) for name, value in values.items()},
        reasons={name: text(reason) for name, reason in reasons.items()},
        failure=None if record["failure"] is None else text(record["failure"]),
    )


def _costs(record: Mapping[str, Any]) -> CodingStats:
    bits, *times = (mapping(record[kind]) for kind in _COSTS)
    encode, decode = ({name: number(t) for name, t in kind.items()} for kind in times)
    return CodingStats({name: integer(n) for name, n in bits.items()}, encode, decode)
