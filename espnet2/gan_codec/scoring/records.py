"""``utterances.json``: all that is known of every pair, and the way back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.result import Result, Task
from espnet2.gan_codec.scoring.summary import CodingStats

UTTERANCES = "utterances.json"
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
        contents = json.loads(path.read_text(encoding="utf-8"))
        results = [_result(record) for record in contents["outcomes"]]
        costs = {s: CodingStats(**cost) for s, cost in contents["costs"].items()}
        return results, costs, dict(contents.get("settings", {}))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ScoringError(f"{path}: not a file of results") from error


def _result(record: dict) -> Result:
    task = record.pop("task")
    paths = {name: Path(task[name]) for name in ("reference", "decoded")}
    task = Task(**{**task, **paths, "metrics": tuple(task["metrics"])})
    record["rates"] = tuple(record["rates"])
    record["energies"] = tuple(tuple(side) for side in record["energies"])
    return Result(task, **record)
