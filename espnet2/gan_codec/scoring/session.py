"""One scoring run: from lists of files to files of results."""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from espnet2.gan_codec.bscodec.files import whole_file
from espnet2.gan_codec.scoring import catalogue, tables, workers
from espnet2.gan_codec.scoring.catalogue import CATALOGUE, Options
from espnet2.gan_codec.scoring.inputs import domain_of, read_recordings
from espnet2.gan_codec.scoring.journal import Journal
from espnet2.gan_codec.scoring.metric import Metric, ScoringError
from espnet2.gan_codec.scoring.outcome import Outcome, Task
from espnet2.gan_codec.scoring.records import UTTERANCES, read_runs, records_text
from espnet2.gan_codec.scoring.summary import Cost, System, as_record, summarise

JOURNAL = ".journal.jsonl"


@dataclass(frozen=True)
class Request:
    """What a run is to do.

    Attributes:
        reference: a wav.scp or a folder.
        systems: wav.scp or folder of each system's decoded audio, by the system's name.
        domain: one of DOMAINS, or ``auto``.
        outdir: for all results; made where it is missing.
        metrics: names, computed for every pair; None: those made for each pair's domain.
        jobs: processes.
        seed: of the bootstrap.
        command: the command line, for the record.
    """

    reference: Path
    systems: Mapping[str, Path]
    domain: str
    outdir: Path
    metrics: list[str] | None = None
    options: Options = field(default_factory=Options)
    jobs: int = 1
    seed: int = 0
    command: str = ""


@dataclass(frozen=True)
class Results:
    """What came of a run; ``missing``: why metrics were left out, by name."""

    systems: list[System]
    outcomes: list[Outcome]
    missing: dict[str, str]


def score(request: Request, costs: Mapping[str, Cost], note: Callable[[str], object]) -> Results:
    """Score all pairs and write utterances.tsv and .json, summary.json and summary.md.

    Pairs that an earlier run into the same folder has scored are not scored again.

    Args:
        costs: by name of the system; durations turn them into bitrates and speeds.
        note: is told, in a line each, what the user should know.

    Raises:
        ScoringError: nothing to score, or no metric to score it with.
        OSError: the folder cannot be written to.
    """
    references = read_recordings(request.reference)
    domains = {n: domain_of(n, request.reference, request.domain) for n in references}
    chosen = catalogue.choose(request.metrics, domains.values())
    _, missing = catalogue.load_available(chosen, request.options)
    for reason in missing.values():
        note(f"not scored: {reason}")
    present = [name for name in chosen if name not in missing]
    if not present:
        raise ScoringError("there is no metric left to score with")

    tasks, absent = [], []
    for system, source in request.systems.items():
        decoded = read_recordings(source)
        for name, path in references.items():
            metrics = present
            if request.metrics is None:
                metrics = [m for m in present if domains[name] in CATALOGUE[m].domains]
            found = decoded.get(name)
            task = Task(system, name, domains[name], path, found or Path(), tuple(metrics))
            tasks.append(task)
            if found is None:
                absent.append(Outcome(task, failure=f"{source}: has no {name}"))
        _check_names(references, decoded, system, note)

    request.outdir.mkdir(parents=True, exist_ok=True)
    setting = functools.partial(catalogue.setting, options=request.options)
    load = functools.partial(load_all, tuple(present), request.options)
    outcomes = {(o.task.system, o.task.name): o for o in absent}
    with Journal(request.outdir / JOURNAL, setting) as journal:
        todo = [t for t in tasks if (t.system, t.name) not in outcomes]
        outcomes.update(_score_all(todo, journal, load, request.jobs))
    ordered = [outcomes[t.system, t.name] for t in tasks]

    return _finish(request, ordered, costs, missing)


def merge(request: Request, runs: Sequence[tuple[str | None, Path]]) -> Results:
    """Take results of other runs, as ``read_runs`` does, together as if they were of one.

    Files are the same as of :func:`score`; nothing is scored again. Codebooks are left out.

    Raises:
        ScoringError: no results in a folder, or one recording of a system in two of them.
    """
    outcomes, costs = read_runs(runs)
    request.outdir.mkdir(parents=True, exist_ok=True)
    return _finish(request, outcomes, costs, {})


def _finish(
    request: Request,
    outcomes: list[Outcome],
    costs: Mapping[str, Cost],
    missing: dict[str, str],
) -> Results:
    """Sum up and write all files but the report."""
    names = list(dict.fromkeys(o.task.system for o in outcomes))
    systems = summarise(outcomes, costs, names, request.seed)
    setting = functools.partial(catalogue.setting, options=request.options)
    record = as_record(systems, missing, setting, request.seed, request.command)
    bits = {(s, name): n for s, cost in costs.items() for name, n in cost.bits.items()}
    write(request.outdir / UTTERANCES, records_text(outcomes, costs))
    write(request.outdir / "utterances.tsv", tables.to_tsv(outcomes, bits))
    write(request.outdir / "summary.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    write(request.outdir / "summary.md", tables.to_markdown(systems, missing))
    return Results(systems, outcomes, missing)


def load_all(names: tuple[str, ...], options: Options) -> dict[str, Metric]:
    """Build metrics; what processes are started with."""
    return {name: catalogue.load(name, options) for name in names}


def write(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def _score_all(
    tasks: list[Task], journal: Journal, load: workers.Load, jobs: int
) -> dict[tuple[str, str], Outcome]:
    """Score what the journal does not know, and add it there; return everything."""
    known = {(t.system, t.name): journal.known(t) for t in tasks}
    waiting = []
    for task in tasks:
        before = known[task.system, task.name]
        rest = [m for m in task.metrics if before is None or m not in before.values]
        if rest:
            waiting.append(replace(task, metrics=tuple(rest)))
    with tqdm(
        total=len(tasks), initial=len(tasks) - len(waiting), unit="pair", disable=None
    ) as bar:
        for outcome in workers.score_tasks(waiting, load, min(jobs, len(waiting)) or 1):
            journal.add(outcome)
            key = outcome.task.system, outcome.task.name
            before = known[key]
            values = {**(before.values if before else {}), **outcome.values}
            known[key] = replace(outcome, values=values)
            bar.update()
    by_key = {(t.system, t.name): t for t in tasks}
    return {key: replace(o, task=by_key[key]) for key, o in known.items() if o is not None}


def _check_names(
    references: Mapping[str, Path],
    decoded: Mapping[str, Path],
    system: str,
    note: Callable[[str], object],
) -> None:
    if not references.keys() & decoded.keys():
        raise ScoringError(
            f"{system}: no name is in both lists: a reference is named {next(iter(references))}, "
            f"a decoded file {next(iter(decoded))}"
        )
    missing, extra = references.keys() - decoded.keys(), decoded.keys() - references.keys()
    if missing:
        note(f"{system}: {len(missing)} of {len(references)} references have no decoded file")
    if extra:
        note(f"{system}: {len(extra)} decoded files have no reference and are left out")
