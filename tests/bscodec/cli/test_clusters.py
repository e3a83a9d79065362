"""Commands on Dask's workers: the files of one process, whatever dies in between."""

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ..experiments import write_experiment
from .corpus import contents, write_corpus

pytestmark = pytest.mark.long
pytest.importorskip("distributed")
ON_CPU = "--model model --device cpu"


@pytest.fixture
def corpus(workplace):
    write_experiment(workplace / "model")
    write_corpus()
    return workplace


class Cluster:
    """A scheduler and workers, started by hand as processes."""

    def __init__(self, folder):
        self.folder, self.workers = folder, []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self.start("scheduler", "--host", "127.0.0.1", "--port", str(port))

    def start(self, what, *words):
        command = [sys.executable, "-m", f"distributed.cli.dask_{what}", *words, "--no-dashboard"]
        return subprocess.Popen(
            command, stderr=subprocess.DEVNULL, cwd="/", start_new_session=True
        )

    def add_worker(self):
        words = [self.address, "--nthreads", "1", "--local-directory", str(self.folder)]
        self.workers.append(self.start("worker", *words))

    def end(self):
        for process in (*self.workers, self.scheduler):
            with suppress(ProcessLookupError):  # with the processes that it has started
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def cluster(tmp_path_factory):
    started = Cluster(tmp_path_factory.mktemp("dask"))
    for _ in range(2):
        started.add_worker()
    yield started
    started.end()


def test_a_local_cluster_makes_what_one_process_makes(bscodec, corpus):
    Path("c.yaml").write_text("type: local\nn_workers: 2\n")
    for end, place in (("1", "-j 1"), ("2", "--cluster c.yaml")):
        line = f"tokenize wav.scp -o tokens {ON_CPU} --shard-size 3 {place}"
        assert bscodec(line).status == 0
        os.rename("tokens", f"tokens{end}")
        assert bscodec(f"encode in -o bsc{end} {ON_CPU} {place}").status == 0
        assert bscodec(f"decode bsc1 -o wav{end} {ON_CPU} {place}").status == 0
        line = "score --ref in --hyp wav1 --domain speech --metrics SI-SDR --no-report"
        assert bscodec(f"{line} --outdir out{end} {place}").status == 0
    for what in ("tokens", "bsc", "wav"):
        assert contents(f"{what}1") == contents(f"{what}2")
    assert Path("out1/utterances.tsv").read_bytes() == Path("out2/utterances.tsv").read_bytes()


def slow_list():
    """A list whose fourth entry waits for the gate, and writes down which process reads it."""
    lines = [f"{line.split()[0]} cat {line.split()[1]} |" for line in open("wav.scp")]
    name, command = lines[3].split(maxsplit=1)
    wait = "echo $PPID > pid; while [ -e gate ]; do sleep 0.1; done"
    lines[3] = f"{name} {wait}; {command}"
    Path("slow.scp").write_text("".join(f"{line}\n" for line in lines))
    Path("gate").touch()


LINE = f"tokenize slow.scp -o tokens {ON_CPU} --shard-size 2 --allow-commands"


def start(place):
    command = [sys.executable, "-W", "ignore", "-m", "espnet2.bin.bscodec", *LINE.split()]
    return subprocess.Popen([*command, *place], stderr=subprocess.PIPE, text=True)


def reader(running):
    """The process that reads the fourth entry."""
    while not Path("pid").exists() or not Path("pid").read_text().strip():
        assert running.poll() is None
        time.sleep(0.1)
    return int(Path("pid").read_text())


def assert_same_as_one_process(bscodec):
    found = contents("tokens")
    os.rename("tokens", "on-cluster")
    assert bscodec(f"{LINE} -j 1").status == 0
    assert found == contents("tokens")


def test_the_shard_of_a_killed_worker_is_made_by_another(bscodec, corpus, cluster):
    slow_list()
    running = start(["--cluster", cluster.address])
    os.kill(reader(running), signal.SIGKILL)
    os.remove("gate")
    errors = running.communicate(timeout=200)[1]
    assert running.returncode == 0 and "error" not in errors
    assert_same_as_one_process(bscodec)


def test_a_lost_scheduler_is_one_line_and_the_next_run_goes_on(bscodec, corpus, cluster):
    slow_list()
    running = start(["--cluster", cluster.address])
    reader(running)
    while len(list(Path("tokens/shards").glob("*.json"))) < 3:
        time.sleep(0.1)
    cluster.scheduler.kill()
    errors = running.communicate(timeout=200)[1].splitlines()
    assert running.returncode == 1
    gone = f"bscodec: error: {cluster.address}: the scheduler is gone: run again to go on"
    assert [line for line in errors if not line.startswith("bscodec: note: ")] == [gone]
    os.remove("gate")
    again = bscodec(f"{LINE} -j 1")
    assert again.status == 0 and "are there already" in again.out
    assert_same_as_one_process(bscodec)


def test_what_kills_every_worker_is_an_error_of_its_own(bscodec, corpus, cluster):
    """Of scores, too, the pair alone is lost; here the run is, since a shard is."""
    Path("slow.scp").write_text("a kill -9 $PPID |\nb cat in/utt0.wav |\nc cat in/utt2.wav |\n")
    result = bscodec(f"{LINE} --cluster {cluster.address}")
    assert result.status == 1 and len(result.errors) == 1
    assert "workers died again and again" in result.err
