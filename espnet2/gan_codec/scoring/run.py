"""One scoring run: from lists of files to files of results."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tqdm import tqdm

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.format.tables import formula_note
from espnet2.gan_codec.bscodec.inference.cpus import available_cpus
from espnet2.gan_codec.bscodec.inference.executors import Place, Processes
from espnet2.gan_codec.scoring import tables, workers
from espnet2.gan_codec.scoring.inputs import domain_of, read_utterances
from espnet2.gan_codec.scoring.journal import Journal
from espnet2.gan_codec.scoring.metrics import catalogue
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE, DOMAINS, Options
from espnet2.gan_codec.scoring.metrics.metric import Metric, ScoringError
from espnet2.gan_codec.scoring.records import UTTERANCES, read_runs, records_text
from espnet2.gan_codec.scoring.result import Result, Task
from espnet2.gan_codec.scoring.summary import CodingStats, System, as_record, summarise
from espnet2.gan_codec.scoring.versa import METRICS as OF_VERSA
from espnet2.gan_codec.scoring.versa import Versa

JOURNAL = ".journal.jsonl"
TABLE = "utterances.tsv"
PAIRS_EACH = 10  # of a process by default: its start takes as long as scoring some pairs


@dataclass(frozen=True)
class Request:
    """What a run is to do.

    Attributes:
        reference: a wav.scp or a folder.
        systems: wav.scp or folder of each system's decoded audio, by the system's name.
        domain: one of DOMAINS, or ``auto``.
        outdir: for all results; made where it is missing.
        metrics: names, computed for every pair; None: those made for each pair's domain.
        place: where pairs are scored; None: in as many processes as there are CPUs, where there
            are pairs enough for them.
        jobs: processes of VERSA.
        seed: of the bootstrap.
        command: the command line, for the record.
        versa: folder of score configs with which VERSA computes the metrics it has; None: it
            computes none.
    """

    reference: Path
    systems: Mapping[str, Path]
    domain: str
    outdir: Path
    metrics: list[str] | None = None
    options: Options = field(default_factory=Options)
    place: Place | None = None
    jobs: int = 1
    seed: int = 0
    command: str = ""
    versa: Path | None = None


@dataclass(frozen=True)
class Results:
    """What came of a run.

    Attributes:
        missing: why metrics were left out, by name.
        messages: what else there is to know of the numbers, in a line each.
    """

    systems: list[System]
    results: list[Result]
    missing: dict[str, str]
    messages: list[str] = field(default_factory=list)


def score(
    request: Request, costs: Mapping[str, CodingStats], log: Callable[[str], object]
) -> Results:
    """Score all pairs and write utterances.tsv and .json, summary.json and summary.md.

    Pairs that an earlier run into the same folder has scored are not scored again.

    Args:
        costs: by name of the system; durations turn them into bitrates and speeds.
        log: receives what the user should know, a line at a time.

    Raises:
        ScoringError: nothing to score, or no metric to score it with.
        OSError: the folder cannot be written to.
    """
    references = read_utterances(request.reference)
    domains = {n: domain_of(n, request.reference, request.domain) for n in references}
    selected = catalogue.choose(request.metrics, domains.values())
    versa = None
    if request.versa is not None:
        versa = Versa(request.versa, [d for d in DOMAINS if d in domains.values()])
    ours = [name for name in selected if versa is None or name not in OF_VERSA]
    _, missing = catalogue.load_available(ours, request.options)
    ours = [name for name in ours if name not in missing]
    for reason in missing.values():
        log(f"not scored: {reason}")

    def metrics_of(domain: str) -> tuple[str, ...]:
        names = {*ours, *(versa.asked(domain) if versa else ())}
        if request.metrics is None:
            names = {name for name in names if domain in CATALOGUE[name].domains}
        return tuple(name for name in selected if name in names)

    tasks, absent = _pair_up(request, references, domains, metrics_of, log)
    if not any(task.metrics for task in tasks):
        raise ScoringError("there is no metric left to score with")

    def setting(name: str) -> str:
        if versa and name in OF_VERSA:
            return versa.setting(name)
        return catalogue.setting(name, request.options)

    request.outdir.mkdir(parents=True, exist_ok=True)
    load = LoadMetrics(tuple(ours), request.options)
    results = {(o.task.system, o.task.name): o for o in absent}
    with Journal(request.outdir / JOURNAL, setting) as journal:
        if journal.damaged:
            log(
                f"{request.outdir / JOURNAL}: {journal.damaged} damaged lines are left out, "
                "and what they held is computed again"
            )
        todo = [t for t in tasks if (t.system, t.name) not in results]
        results.update(_score_all(todo, ours, journal, load, request.place))
        if versa:
            results.update(_score_by_versa(versa, results.values(), journal, request.jobs))
    ordered = [results[t.system, t.name] for t in tasks]
    messages: list[str] = []
    if versa:
        left_out, messages = _account(request, versa, selected, ordered)
        missing |= left_out
        for line in (*(f"not scored: {reason}" for reason in left_out.values()), *messages):
            log(line)
    return _finish(request, ordered, costs, missing, setting, messages, log)


def merge(
    request: Request, runs: Sequence[tuple[str | None, Path]], log: Callable[[str], object]
) -> Results:
    """Take results of other runs, as ``read_runs`` does, together as if they were of one.

    Files are the same as of :func:`score`; nothing is scored again. Codebooks are left out.

    Raises:
        ScoringError: no results in a folder, or one utterance of a system in two of them.
    """
    results, costs, settings = read_runs(runs)
    request.outdir.mkdir(parents=True, exist_ok=True)

    def setting(name: str) -> str:
        return " or ".join(sorted(settings.get(name, ()))) or "not recorded"

    return _finish(request, results, costs, {}, setting, [], log)


def _finish(
    request: Request,
    results: list[Result],
    costs: Mapping[str, CodingStats],
    missing: dict[str, str],
    setting: Callable[[str], str],
    messages: list[str],
    log: Callable[[str], object],
) -> Results:
    """Sum up and write all files but the report."""
    names = list(dict.fromkeys(o.task.system for o in results))
    systems = summarise(results, costs, names, request.seed)
    record = as_record(systems, missing, setting, request.seed, request.command)
    bits = {(s, name): n for s, cost in costs.items() for name, n in cost.bits.items()}
    settings = {name: metric["by"] for name, metric in record["metrics"].items()}
    by_versa: dict[str, list[str]] = {}
    for name, by in settings.items():
        if "VERSA" in by:
            by_versa.setdefault(by, []).append(name)
    messages = [*(f"{', '.join(names)} by {by}" for by, names in by_versa.items()), *messages]
    write(request.outdir / UTTERANCES, records_text(results, costs, settings))
    write(request.outdir / TABLE, tables.to_tsv(results, bits))
    write(request.outdir / "summary.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
    write(request.outdir / "summary.md", tables.to_markdown(systems, missing, messages))
    tasks = [o.task for o in results]
    texts = (text for t in tasks for text in (t.system, t.name, t.reference, t.decoded))
    if note := formula_note(request.outdir / TABLE, texts):
        log(note)
    return Results(systems, results, missing, messages)


@dataclass(frozen=True)
class LoadMetrics:
    """Builds metrics, by name; processes that are told the same build them once."""

    names: tuple[str, ...]
    options: Options

    def __call__(self) -> dict[str, Metric]:
        return {name: catalogue.load(name, self.options) for name in self.names}


def write(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def _pair_up(
    request: Request,
    references: Mapping[str, Path],
    domains: Mapping[str, str],
    metrics_of: Callable[[str], tuple[str, ...]],
    log: Callable[[str], object],
) -> tuple[list[Task], list[Result]]:
    """Match names; return all pairs, and what came of those without a decoded file."""
    tasks, absent = [], []
    for system, source in request.systems.items():
        decoded = read_utterances(source)
        for name, path in references.items():
            found = decoded.get(name)
            metrics = metrics_of(domains[name])
            task = Task(system, name, domains[name], path, found or Path(), metrics)
            tasks.append(task)
            if found is None:
                absent.append(Result(task, failure=f"{source}: has no {name}"))
        _check_names(references, decoded, system, log)
    return tasks, absent


def _score_all(
    tasks: list[Task],
    ours: Sequence[str],
    journal: Journal,
    load: workers.Load,
    place: Place | None,
) -> dict[tuple[str, str], Result]:
    """Find what the journal does not know of our metrics, and add it there; return everything."""
    known = {(t.system, t.name): journal.known(t) for t in tasks}
    waiting = []
    for task in tasks:
        before = known[task.system, task.name]
        rest = [m for m in task.metrics if m in ours and (not before or m not in before.values)]
        if rest or before is None:
            waiting.append(replace(task, metrics=tuple(rest)))
    if place is None:
        place = Processes(("cpu",) * available_cpus()).at_most(len(waiting) // PAIRS_EACH)
    elif isinstance(place, Processes):
        place = place.at_most(len(waiting))
    with tqdm(
        total=len(tasks), initial=len(tasks) - len(waiting), unit="pair", disable=None
    ) as bar:
        for result in workers.score_tasks(waiting, load, place):
            journal.add(result)
            key = result.task.system, result.task.name
            before = known[key]
            values = {**(before.values if before else {}), **result.values}
            known[key] = replace(result, values=values)
            bar.update()
    by_key = {(t.system, t.name): t for t in tasks}
    return {key: replace(o, task=by_key[key]) for key, o in known.items() if o is not None}


def _score_by_versa(
    versa: Versa, results: Iterable[Result], journal: Journal, jobs: int
) -> dict[tuple[str, str], Result]:
    """Have VERSA score what the journal does not know, and add it there; return those pairs."""
    waiting: dict[str, list[Result]] = {}
    for result in results:
        task = result.task
        rest = tuple(m for m in task.metrics if m in OF_VERSA and m not in result.values)
        if rest and result.failure is None:
            waiting.setdefault(task.domain, []).append(result)
    scored = {}
    with tqdm(
        total=sum(map(len, waiting.values())), unit="pair", desc="VERSA", disable=None
    ) as bar:
        for domain, pairs in waiting.items():
            before = {(o.task.system, o.task.name): o for o in pairs}
            for result in versa.score(domain, pairs, jobs):
                journal.add(result)
                key = result.task.system, result.task.name
                values, reasons = before[key].values, before[key].reasons
                scored[key] = replace(
                    result,
                    values={**values, **result.values},
                    reasons={**reasons, **result.reasons},
                )
                bar.update()
    return scored


def _account(
    request: Request, versa: Versa, selected: Sequence[str], results: Sequence[Result]
) -> tuple[dict[str, str], list[str]]:
    """Say which of VERSA's metrics came to nothing, and what of its results is not shown."""
    missing: dict[str, str] = {}
    for name in (n for n in selected if n in OF_VERSA):
        asked = [o for o in results if name in o.task.metrics]
        if any(name in o.values for o in asked):
            continue
        if asked:
            reason = next((o.reasons[name] for o in asked if name in o.reasons), "no pair is left")
            missing[name] = f"{name} by VERSA, for any pair: {reason}"
        elif request.metrics or CATALOGUE[name].paper:
            missing[name] = f"{name} is in none of VERSA's score configs ({request.versa})"
    others = ", ".join(sorted(versa.others))
    return missing, [f"not shown of VERSA's results: {others}"] if others else []


def _check_names(
    references: Mapping[str, Path],
    decoded: Mapping[str, Path],
    system: str,
    log: Callable[[str], object],
) -> None:
    if not references.keys() & decoded.keys():
        raise ScoringError(
            f"{system}: no name is in both lists: a reference is named {next(iter(references))}, "
            f"a decoded file {next(iter(decoded))}"
        )
    missing, extra = references.keys() - decoded.keys(), decoded.keys() - references.keys()
    if missing:
        log(f"{system}: {len(missing)} of {len(references)} references have no decoded file")
    if extra:
        log(f"{system}: {len(extra)} decoded files have no reference and are left out")
