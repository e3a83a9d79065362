"""Score pairs in processes of their own, so that nothing a library does can end the run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np

from espnet2.gan_codec.bscodec.format.audio import AudioReader, downmix
from espnet2.gan_codec.bscodec.inference.process_pool import process_pool
from espnet2.gan_codec.scoring.metrics.band_energy import band_energies
from espnet2.gan_codec.scoring.metrics.metric import Metric
from espnet2.gan_codec.scoring.pairs import Pair, score_each
from espnet2.gan_codec.scoring.result import Result, Task

Load = Callable[[], Mapping[str, Metric]]
_metrics: Mapping[str, Metric] = {}  # of a worker process


def score_file_pair(task: Task, metrics: Mapping[str, Metric]) -> Result:
    """Read both files of a pair and score them; a failure becomes part of the result."""
    try:
        pair, decoded_rate = read_pair(task.reference, task.decoded)
    except (ValueError, OSError, MemoryError) as error:
        reason = str(error)
        if isinstance(error, OSError) and error.filename is not None:
            reason = f"{error.filename}: {error.strerror}"
        return Result(task, failure=" ".join(reason.split()) or type(error).__name__)
    values, reasons = score_each(pair, (metrics[name] for name in task.metrics))
    rate = pair.sampling_rate
    reference, decoded = (band_energies(x, rate) for x in pair.at(rate))
    rates = (rate, decoded_rate)
    return Result(task, pair.duration, rates, (reference, decoded), values, reasons)


def read_pair(reference: Path, decoded: Path) -> tuple[Pair, int]:
    """Read both files; return the pair, and the rate of the decoded file in Hz.

    Channels are averaged. Decoded audio of another rate is resampled to the reference's.

    Raises:
        AudioError, ScoringError, OSError: a file cannot be read, or they are no pair.
    """
    with AudioReader(reference) as reader:
        rate = reader.sampling_rate
        original = np.concatenate([downmix(block) for block in reader.blocks()])
    with AudioReader(decoded) as reader:
        decoded_rate = reader.sampling_rate
        audio = np.concatenate(list(reader.mono_blocks(rate)))
    return Pair(original, audio, rate), decoded_rate


def score_tasks(tasks: Iterable[Task], load: Load, jobs: int) -> Iterator[Result]:
    """Yield the result of every task, in the order in which they come to be ready.

    Each of the ``jobs`` processes computes with one thread, so that a value depends neither on
    their number nor on the machine's. Where a process dies (a library crashed, memory ran out),
    those pairs that it may have died of are scored again, each in a process of its own.

    Args:
        load: builds the metrics by name; called once in every process, so it must be picklable.
        jobs: number of processes, at least 1.
    """
    waiting = iter(tasks)
    suspects: list[Task] = []
    while True:
        yield from _until_a_process_dies(waiting, load, jobs, suspects)
        if not suspects:
            return
        for task in suspects:
            deadly: list[Task] = []
            yield from _until_a_process_dies(iter([task]), load, 1, deadly)
            if deadly:
                yield Result(task, failure="the process that scored it died")
        suspects = []


def _until_a_process_dies(
    waiting: Iterator[Task], load: Load, jobs: int, lost: list[Task]
) -> Iterator[Result]:
    """Yield results until ``waiting`` is empty or a process has died; put unfinished in lost."""
    running: dict[Future[Result], Task] = {}
    with process_pool(jobs, _start, load) as pool:
        while not lost:
            while len(running) < 2 * jobs and (task := next(waiting, None)) is not None:
                try:
                    running[pool.submit(_score, task)] = task
                except BrokenProcessPool:
                    lost.append(task)
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                task = running.pop(future)
                try:
                    result = future.result()
                except BrokenProcessPool:
                    lost.append(task)
                else:
                    yield result
        lost += running.values()


def _start(load: Load) -> None:
    global _metrics
    _metrics = load()


def _score(task: Task) -> Result:
    return score_file_pair(task, _metrics)
