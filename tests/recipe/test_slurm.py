"""The Slurm backend on a real Slurm."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs
import pytest
import slurm_cluster
import slurm_jobs
import yaml
from trial import copy_recipe, run, table, write_tone

from espnet2.bin.bscodec import main
from tests.espnet.test_stock_commands import CONFIG

SLURM_PL = [sys.executable, str(Path(jobs.__file__).with_name("slurm.pl"))]
long = pytest.mark.long


@pytest.fixture(scope="module")
def cluster():
    reason = slurm_cluster.missing()
    if reason:
        pytest.skip(reason)
    with slurm_cluster.cluster():
        yield


def slurm_pl(folder, *words):
    return subprocess.run(
        [*SLURM_PL, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )


def options(*argv):
    return slurm_jobs.sbatch_options(jobs.parse([*argv, "x.JOB.log", "true"]))


def test_options_become_those_of_sbatch():
    given = options("--gpu", "2", "--mem", "4G", "--max_jobs_run", "3", "--partition", "p",
                    "--num_threads", "4", "JOB=1:9")  # fmt: skip
    assert {"--gres=gpu:2", "--mem=4G", "--partition=p", "--cpus-per-task=4"} <= set(given)
    assert "--array=1-9%3" in given and "--nodes=1" in given
    plain = options("--gpu", "0", "--num_nodes", "2")
    assert {"--nodes=2", "--ntasks=2"} <= set(plain)
    assert not [option for option in plain if "array" in option or "gres" in option]


def test_without_slurm_one_line_says_so(tmp_path):
    done = subprocess.run(
        [*SLURM_PL, "x.log", "true"], cwd=tmp_path, env={"PATH": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.strip() == "slurm.pl: sbatch: not found; take cmd_backend=local in cmd.sh"


@long
def test_an_array_runs_each_job_once_in_this_folder(cluster, tmp_path):
    code = "import os, sys; print(os.getcwd(), sys.argv[1:], os.environ['SLURM_ARRAY_TASK_ID'])"
    words = ["a b", "it's", "JOB"]
    done = slurm_pl(tmp_path, "JOB=1:4", "log/x.JOB.log", sys.executable, "-c", code, *words)
    assert done.returncode == 0, done.stderr
    for number in range(1, 5):
        log = tmp_path / f"log/x.{number}.log"
        line = log.read_text().splitlines()[2]
        assert line == f"{tmp_path} {[*words[:-1], str(number)]} {number}"
        assert jobs.logged_status(log) == 0


@long
def test_a_failing_task_is_reported_with_its_log(cluster, tmp_path):
    code = "import sys; print('to be seen'); sys.exit(5 * (sys.argv[1] == '3'))"
    done = slurm_pl(tmp_path, "JOB=1:4", "x.JOB.log", sys.executable, "-c", code, "JOB")
    assert done.returncode == 1
    assert "to be seen" in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == "slurm.pl: 1 of 4 jobs failed, job 3 ended with status 5; its log: x.3.log"


@long
def test_a_task_that_slurm_ends_is_a_failure(cluster, tmp_path):
    code = "import time; time.sleep(600)"
    caller = subprocess.Popen(
        [*SLURM_PL, "x.log", sys.executable, "-c", code],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_for(tmp_path / "x.log")
    subprocess.run(["scancel", "--name=x"], check=True)
    error = caller.communicate(timeout=60)[1]
    assert caller.returncode == 1
    assert "x.log" in error.splitlines()[-1]


@long
def test_an_interrupted_caller_takes_its_jobs_back(cluster, tmp_path):
    code = "import time; time.sleep(600)"
    caller = subprocess.Popen([*SLURM_PL, "x.log", sys.executable, "-c", code], cwd=tmp_path)
    wait_for(tmp_path / "x.log")
    caller.send_signal(signal.SIGTERM)
    assert caller.wait(timeout=60) != 0
    deadline = time.monotonic() + 60
    queue = ["squeue", "--noheader", "--name=x"]
    while subprocess.run(queue, capture_output=True, check=True).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@long
def test_an_option_that_sbatch_refuses_is_told_in_one_line(cluster, tmp_path):
    done = slurm_pl(tmp_path, "--partition", "nowhere", "x.log", "true")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1 and "partition" in done.stderr


@long
def test_two_nodes_for_one_job_as_launch_asks_for_them(cluster, tmp_path):
    words = ["--gpu", "0", "--num_threads", "1", "--num_nodes", "2", "x.log", "srun"]
    code = "import os; print('node', os.environ['SLURM_NODEID'], os.environ['SLURM_NTASKS'])"
    done = slurm_pl(tmp_path, *words, "--export=ALL", sys.executable, "-c", code)
    assert done.returncode == 0, done.stderr
    found = sorted(line for line in (tmp_path / "x.log").open() if line.startswith("node"))
    assert found == ["node 0 2\n", "node 1 2\n"]


def wait_for(path):
    deadline = time.monotonic() + 60
    while not path.exists():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@long
def test_tokens_by_workers_that_dask_starts_as_jobs(cluster, tmp_path, monkeypatch):
    pytest.importorskip("dask_jobqueue")
    folder = copy_recipe(tmp_path)
    lines = []
    for i in range(6):
        write_tone(folder / f"audio/tone{i}.wav", 0.2 + 0.1 * i, hertz=200.0 * (i + 1))
        lines.append(f"tone{i} audio/tone{i}.wav\n")
    (folder / "wav.scp").write_text("".join(lines))
    settings = {
        "type": "slurm", "n_workers": 2, "cores": 1, "memory": "2GB", "walltime": "00:10:00",
        "scheduler_options": {"host": "127.0.0.1"}, "log_directory": "dask-log",
        "local_directory": str(tmp_path / "dask"),
    }  # fmt: skip
    (folder / "dask.yaml").write_text(yaml.safe_dump(settings))
    words = ["--tokenize_args", "--shard-size 2", "bscodec-mini", "wav.scp", "dump/tokens"]
    done = run(folder, "local/tokenize.sh", *words, cmd_backend="dask")
    assert "6 utterances coded" in done.stdout and "with a cluster" in done.stdout
    assert "note: waiting for workers" in done.stderr
    assert list((folder / "dask-log").iterdir())  # of Slurm's jobs
    monkeypatch.chdir(folder)
    assert main("tokenize wav.scp -o alone --shard-size 2 -j 1 --device cpu".split()) == 0
    for shard in (folder / "alone/shards").iterdir():
        assert (folder / "dump/tokens/shards" / shard.name).read_bytes() == shard.read_bytes()
    deadline = time.monotonic() + 60
    while subprocess.run(["squeue", "--noheader"], capture_output=True, check=True).stdout:
        assert time.monotonic() < deadline
        time.sleep(0.5)


@long
def test_the_recipe_on_two_nodes(cluster, tmp_path):
    """Arrays prepare data and decode; two nodes train through ESPnet's launch."""
    folder = copy_recipe(tmp_path)
    (folder / "conf/train_tiny.yaml").write_text(yaml.safe_dump({**CONFIG, "max_epoch": 1}))
    run(folder, "./run.sh", "--mini", "true", "--corpus", "clips", "--nj", 2,
        "--num_nodes", 2, "--stop_stage", 6, "--test_sets", "test_speech",
        "--train_config", "conf/train_tiny.yaml", "--train_args", "--unused_parameters true",
        cmd_backend="slurm")  # fmt: skip
    home = folder / "exp/codec_mini_raw_fs24000"
    assert (home / "1epoch.pth").exists()
    assert ":0/2]" in (home / "train.log").read_text()  # rank 0 of 2
    assert len(table(home / "decode_valid.mel_loss.best/test_speech/codec.scp")) == 1
    assert (folder / "dump/raw/org/train_all/log/q/format.JOB.sh").exists()
