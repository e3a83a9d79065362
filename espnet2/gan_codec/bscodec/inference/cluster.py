"""The workers of a Dask cluster as a place for work.

Dask gives the work of a worker that died to another one. Workers see the same files under the same
names as this process, and have this package installed.
"""

from __future__ import annotations

import inspect
import logging
import os
import pkgutil
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Executor, Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml

from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.bscodec.inference.cpus import available_cpus
from espnet2.gan_codec.bscodec.inference.executors import PlaceError, WorkerDied

KINDS = {
    "local": "distributed:LocalCluster",
    "ssh": "distributed:SSHCluster",
    "slurm": "dask_jobqueue:SLURMCluster",
    "pbs": "dask_jobqueue:PBSCluster",
    "lsf": "dask_jobqueue:LSFCluster",
    "sge": "dask_jobqueue:SGECluster",
}
ADAPT = {  # settings of a cluster's adapt
    *("minimum", "minimum_cores", "minimum_memory", "minimum_jobs"),
    *("maximum", "maximum_cores", "maximum_memory", "maximum_jobs"),
    *("interval", "wait_count", "target_duration"),
}
PACKAGE = "espnet-bscodec"
GPU = "GPU"  # the resource of which a worker has one for each task that it takes at a time
_WINDOW = 10_000  # tasks that the scheduler knows at a time
_LOGGERS = ("distributed", "distributed.client", "distributed.worker", "tornado", "asyncio")
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Cluster:
    """A running scheduler by its address, or a cluster that a YAML file describes.

    Attributes:
        where: ``tcp://host:port``, or a name in ``.yaml``: of a mapping with ``type``, one of
            ``KINDS``, and settings of that class of Dask's.
        device: "cpu", or "cuda": of workers that have the resource ``GPU``.
        note: called with lines that the user should know.
    """

    where: str
    device: str
    note: Callable[[str], object]

    @property
    def window(self) -> int:
        return _WINDOW

    def alone(self) -> Cluster:
        """Return itself: Dask sees to work of which workers die."""
        return self

    @contextmanager
    def executor(self) -> Iterator[Executor]:
        """Give an executor of the cluster; a cluster that was started for it ends with it.

        Raises:
            PlaceError: Dask is not installed, the file is wrong, or no scheduler answers.
        """
        distributed = _import("distributed")
        with ExitStack() as stack:
            stack.enter_context(_silence())
            address: Any = self.where
            if "://" not in self.where:
                address = stack.enter_context(_started(Path(self.where)))
            try:
                client = stack.enter_context(distributed.Client(address, set_as_default=False))
            except Exception as error:  # what is no scheduler may answer anything
                raise PlaceError(f"{self.where}: no Dask scheduler answers there") from error
            scheduler = client.scheduler_info(n_workers=-1)
            if "dashboard" in scheduler["services"]:
                self.note(f"Dask's dashboard: {client.dashboard_link}")
            resources = {GPU: 1} if self.device == "cuda" else None
            workers = scheduler["workers"].values()
            if not any(resources is None or GPU in worker["resources"] for worker in workers):
                self.note(f"waiting for workers{' with the resource GPU' if resources else ''}")
            self._check_workers(client)
            pool = client.get_executor(pure=False, resources=resources)
            try:
                yield _Translated(self.where, pool, distributed.KilledWorker)
            finally:
                if client.status == "running":
                    pool.shutdown(wait=False)  # all is done, or not wanted any more

    def _check_workers(self, client: Any) -> None:
        """Raise PlaceError for a worker without this package: it would die of the first task.

        It is asked by a function that it surely has. Workers that join later are not asked.
        """
        answers = client.run(pkgutil.resolve_name, f"{__name__}:VERSION", on_error="return")
        for address, theirs in answers.items():
            if isinstance(theirs, Exception):
                reason = " ".join(str(theirs).split())
                raise PlaceError(f"{self.where}: the worker {address}: {reason}")
            if theirs != VERSION:
                raise PlaceError(
                    f"{self.where}: the worker {address} has {PACKAGE} {theirs}, not {VERSION}"
                )


def _version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "of no version"


VERSION = _version()


class _Translated(Executor):
    """Dask's executor, with our words for a task of which workers die."""

    def __init__(self, where: str, pool: Executor, killed: type[Exception]) -> None:
        self.pool, self.killed, self.folder = pool, killed, os.getcwd()
        self.lost = PlaceError(f"{where}: the scheduler is gone: run again to go on")

    def submit(self, function: Callable, /, *args: Any, **kwargs: Any) -> Future:
        outer: Future = Future()
        work = partial(function, *args, **kwargs)
        try:
            inner = self.pool.submit(_call, self.folder, work)
        except (OSError, RuntimeError) as error:  # of a client that has lost its scheduler
            raise self.lost from error
        inner.add_done_callback(partial(self._pass_on, outer))
        return outer

    def _pass_on(self, outer: Future, inner: Future) -> None:
        try:
            outer.set_result(inner.result())
        except CancelledError:  # by Dask: we cancel nothing that is waited for
            outer.set_exception(self.lost)
        except self.killed:
            outer.set_exception(WorkerDied("workers died again and again"))
        except BaseException as error:
            outer.set_exception(error)


def _call(folder: str, function: Callable[[], Any]) -> Any:
    """Run a function in a worker: on one thread, in the folder that relative paths begin at."""
    from espnet2.gan_codec.bscodec.inference.thread_pool import at_most_threads

    with _one_at_a_time, at_most_threads(1):  # numbers of threads and folders are a process's
        try:
            os.chdir(folder)
        except OSError as error:
            raise PlaceError(f"{folder}: not there for a worker: {error.strerror}") from error
        return function()


@contextmanager
def _started(path: Path) -> Iterator[Any]:
    """Start the cluster of a file, and end it."""
    kind, settings = read_settings(path)
    module, _, name = KINDS[kind].partition(":")
    make = getattr(_import(module), name)
    if unknown := settings.keys() - _known(kind, make) - {"adapt"}:
        raise PlaceError(f"{path}: {', '.join(sorted(map(str, unknown)))}: no setting of {name}")
    adapt = settings.pop("adapt", None)
    with ExitStack() as stack:
        try:
            _check_numbers(settings, {} if adapt is None else adapt)
            cluster = stack.enter_context(make(**_with_defaults(kind, settings)))
            if adapt is not None:
                cluster.adapt(**adapt)
        except Exception as error:  # Dask has any kind for a setting that it cannot use
            raise PlaceError(f"{path}: {' '.join(str(error).split())}") from error
        yield cluster


def _check_numbers(settings: Any, adapt: Any) -> None:
    """Raise an error for numbers and times with which Dask would fail late or not at all."""
    count = settings.get("n_workers")
    if isinstance(count, int) and count < 0:
        raise ValueError(f"n_workers: expected 0 or more, got {count}")
    if not isinstance(adapt, dict):
        raise ValueError("adapt: expected a mapping, as in {minimum: 0, maximum: 100}")
    if unknown := adapt.keys() - ADAPT:
        raise ValueError(f"adapt: {', '.join(sorted(map(str, unknown)))}: no setting of it")
    utils = _import("dask.utils")
    for key, value in adapt.items():
        if key.endswith("memory"):
            utils.parse_bytes(value)
        elif key in ("interval", "target_duration"):
            utils.parse_timedelta(value)
        elif not isinstance(value, (int, float)) or not value >= 0:
            raise ValueError(f"adapt: {key}: expected a number, 0 or more")


def read_settings(path: Path) -> tuple[str, dict[str, Any]]:
    """Return the type of cluster that a file describes, and its settings.

    Raises:
        PlaceError: it is no mapping with a type.
        OSError: it cannot be read.
    """
    require_regular(path)
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise PlaceError(f"{path}: no YAML: {' '.join(str(error).split())}") from error
    kind = settings.pop("type", None) if isinstance(settings, dict) else None
    if not isinstance(kind, str) or kind not in KINDS:
        raise PlaceError(f"{path}: expected 'type', one of {', '.join(KINDS)}")
    return kind, dict(settings)


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ImportError as error:
        raise PlaceError(f"--cluster: {error}: pip install 'espnet-bscodec[cluster]'") from error


def _known(kind: str, make: Any) -> set[str]:
    """Return the settings that a class of Dask's takes, with those that it hands on."""
    takers = [make]
    if kind == "local":
        takers.append(_import("distributed").Nanny)
    elif kind != "ssh":
        takers += make.job_cls.__mro__
    parameters = [p for t in takers for p in inspect.signature(t).parameters.values()]
    known = {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    return known - {"loop", "asynchronous"}  # of programs, which no file can hold


def _with_defaults(kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    """Add what suits work that takes one thread: as many processes as cores."""
    if kind == "local":
        defaults = {"n_workers": available_cpus(), "threads_per_worker": 1}
        return {**defaults, "silence_logs": logging.CRITICAL, **settings}
    if kind == "ssh":
        return {
            **settings,
            "worker_options": {"nthreads": 1, **settings.get("worker_options", {})},
        }
    cores = settings.get("cores", 1)
    return {"cores": cores, "processes": cores, "silence_logs": "critical", **settings}


@contextmanager
def _silence() -> Iterator[None]:
    """Keep Dask's log off stderr: what the user has to know is an error of ours."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="distributed")  # a dashboard's port, taken
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
