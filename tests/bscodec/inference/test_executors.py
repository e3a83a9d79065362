"""Work in processes: every item comes back once, also beside one that kills its process."""

import os
import subprocess
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path

import pytest

from espnet2.gan_codec.bscodec.inference import cpus, executors, process_pool
from espnet2.gan_codec.bscodec.inference.executors import (
    PlaceError,
    Processes,
    WorkerDied,
    processes,
    run_all,
)

TWO = Processes(("cpu", "cpu"))
WORK = """
import os, signal, time
from pathlib import Path

def work(item):
    if item == 3:
        os._exit(9)
    if item == 5:
        raise ValueError("five")
    return item * item, os.environ["OMP_NUM_THREADS"]

def wait(item):
    try:
        Path(f"begun{item}").write_text(str(os.getpid()))
        time.sleep(600)
    finally:
        Path(f"ended{item}").touch()

def stay(item):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    wait(item)

def gpu(item):
    return os.environ.get("CUDA_VISIBLE_DEVICES")
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A module that other processes can import, in the current folder."""
    (tmp_path / "some_work.py").write_text(textwrap.dedent(WORK))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    import some_work

    yield some_work
    sys.modules.pop("some_work")


def test_a_deadly_item_and_an_error_leave_the_others(work):
    found = {item: future for item, future in run_all(TWO, work.work, range(20))}
    assert sorted(found) == list(range(20))
    assert isinstance(found.pop(3).exception(), WorkerDied)
    assert str(found.pop(5).exception()) == "five"
    assert {item: future.result() for item, future in found.items()} == {
        item: (item * item, "1") for item in found
    }


def test_items_are_asked_for_as_there_is_room(work):
    asked = []
    items = (asked.append(i) or i for i in (0, 1, 2, *range(10, 30)))
    with closing(run_all(TWO, work.work, items)) as results:
        next(results)
        assert len(asked) <= TWO.window


def test_nothing_to_do_starts_nothing(work, monkeypatch):
    monkeypatch.setattr(Processes, "executor", None)  # not called
    assert list(run_all(TWO, work.work, [])) == []


def interrupted():
    """Two items, and an interrupt once both are worked on."""
    yield from range(2)
    while len(list(Path().glob("begun*"))) < 2:
        time.sleep(0.05)
    raise KeyboardInterrupt


def test_a_process_that_stays_is_killed(work, monkeypatch):
    monkeypatch.setattr(process_pool, "GRACE_SECONDS", 0.2)
    with pytest.raises(KeyboardInterrupt):
        list(run_all(TWO, work.stay, interrupted()))
    deadline = time.monotonic() + 30
    for begun in Path().glob("begun*"):
        while state(int(begun.read_text())) != "Z":
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_closing_ends_the_processes(work):
    with pytest.raises(KeyboardInterrupt):
        list(run_all(TWO, work.wait, interrupted()))
    deadline = time.monotonic() + 30
    while len(list(Path().glob("ended*"))) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_no_process_outlives_its_parent(work):
    code = """
    import os, signal
    from espnet2.gan_codec.bscodec.inference.executors import Processes, run_all
    import some_work
    if __name__ == "__main__":
        list(run_all(Processes(("cpu",)), some_work.wait, [0]))
    """
    Path("parent.py").write_text(textwrap.dedent(code))
    parent = subprocess.Popen([sys.executable, "parent.py"])
    while not Path("begun0").exists() or not Path("begun0").read_text():
        assert parent.poll() is None
        time.sleep(0.05)
    parent.kill()
    parent.wait()
    child = Path("begun0").read_text()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child}").exists() and state(child) != "Z":
        assert time.monotonic() < deadline
        time.sleep(0.05)


def state(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


@pytest.mark.parametrize(("seen", "expected"), [(None, {"0", "1"}), ("5,GPU-7", {"5", "GPU-7"})])
def test_each_process_sees_its_gpu_alone(work, monkeypatch, seen, expected):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if seen:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    results = set()
    place = Processes(("cuda:0", "cuda:1"))
    assert place.device == "cuda"
    with closing(run_all(place, work.gpu, iter(int, 1))) as found:  # without an end
        while results != expected:
            results.add(next(found)[1].result())


def test_a_device_for_each_process(monkeypatch):
    import torch

    monkeypatch.setattr(executors, "available_cpus", lambda: 5)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    assert processes("auto", 3).devices == processes("cpu", 3).devices == ("cpu",) * 3
    assert len(processes("auto", None).devices) == 5
    with pytest.raises(PlaceError, match="no such GPU"):
        processes("cuda", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert processes("auto", None).devices == ("cuda:0", "cuda:1")
    assert processes("cuda", 1).devices == ("cuda:0",) and processes("cpu", 1).is_here
    with pytest.raises(PlaceError, match="one per GPU"):
        processes("cuda", 3)


def test_cpus_are_those_of_affinity(tmp_path):
    """A quota of a container is joblib's to find."""
    cpus.available_cpus.cache_clear()
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cpus.available_cpus() == 1
    finally:
        os.sched_setaffinity(0, before)
        cpus.available_cpus.cache_clear()
