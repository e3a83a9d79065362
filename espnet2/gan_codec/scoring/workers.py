"""Score pairs in processes of their own, so that nothing a library does can end the run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import BrokenExecutor
from contextlib import closing
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from espnet2.gan_codec.bscodec.format.audio import AudioReader, downmix
from espnet2.gan_codec.bscodec.inference.executors import Place, run_all
from espnet2.gan_codec.scoring.metrics.band_energy import band_energies
from espnet2.gan_codec.scoring.metrics.metric import Metric
from espnet2.gan_codec.scoring.pairs import Pair, score_each
from espnet2.gan_codec.scoring.result import Result, Task

Load = Callable[[], Mapping[str, Metric]]


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


def score_tasks(tasks: Iterable[Task], load: Load, place: Place) -> Iterator[Result]:
    """Yield the result of every task, in the order in which they come to be ready.

    Each process computes with one thread, so that a value depends neither on their number nor on
    the machine's. A pair of which a process dies (a library crashed, memory ran out) has failed.

    Args:
        load: builds the metrics by name; called once in every process, so it must be picklable,
            and equal to itself after that.
        place: where the processes are.

    Raises:
        PlaceError: the place cannot be had, or is lost.
    """
    with closing(run_all(place, partial(_score, load), tasks)) as results:
        for task, future in results:
            if isinstance(future.exception(), BrokenExecutor):
                yield Result(task, failure="the process that scored it died")
            else:
                yield future.result()


_metrics_of = lru_cache(maxsize=1)(lambda load: load())


def _score(load: Load, task: Task) -> Result:
    return score_file_pair(task, _metrics_of(load))
