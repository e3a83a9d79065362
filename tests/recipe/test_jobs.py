"""The job scripts: numbering, logs, bounds, failures, interruption."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs
import pytest
from hypothesis import given
from hypothesis import strategies as st

UTILS = Path(jobs.__file__).parent
RUN = [sys.executable, str(UTILS / "run.pl")]


def run_pl(folder, *words):
    return subprocess.run(
        [*RUN, *map(str, words)], cwd=folder, capture_output=True, text=True, check=False
    )


def test_the_number_replaces_its_name_in_the_log_and_the_command():
    call = jobs.parse(
        ["--mem", "2G", "JOB=2:3", "--max-jobs-run", "1", "x.JOB.log", "do", "in.JOB"]
    )
    assert list(call.numbers) == [2, 3]
    assert str(call.log_of(3)) == "x.3.log" and call.command_of(2) == ["do", "in.2"]
    assert call.options == {"mem": "2G", "max_jobs_run": "1"}


def test_without_a_range_nothing_is_replaced():
    call = jobs.parse(["x.JOB.log", "do", "--option", "JOB=1:2"])
    assert str(call.log_of(1)) == "x.JOB.log"
    assert call.command_of(1) == ["do", "--option", "JOB=1:2"]


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_range_runs_forwards_only(first, last):
    argv = [f"N={first}:{last}", "x.N.log", "true"]
    if last < first:
        with pytest.raises(jobs.JobError, match="before the first"):
            jobs.parse(argv)
    else:
        assert len(jobs.parse(argv).numbers) == last - first + 1


@pytest.mark.parametrize(
    ("argv", "reason"),
    [
        ([], "expected"),
        (["JOB=1:2", "x.JOB.log"], "expected"),
        (["--mem"], "a value"),
        (["JOB=1:2", "x.log", "true"], "in the name of the log"),
    ],
)
def test_wrong_calls_are_told_in_one_line(argv, reason):
    with pytest.raises(jobs.JobError, match=reason) as caught:
        jobs.parse(argv)
    assert "\n" not in str(caught.value)


def test_every_job_runs_once_with_its_arguments_as_given(tmp_path):
    code = "import sys; print(sys.argv[1:])"
    words = ["a b", "$HOME", "it's", "", "*", "JOB"]
    done = run_pl(tmp_path, "JOB=1:4", "log/x.JOB.log", sys.executable, "-c", code, *words)
    assert done.returncode == 0, done.stderr
    for number in range(1, 5):
        log = tmp_path / f"log/x.{number}.log"
        lines = log.read_text().splitlines()
        assert lines[2] == str([*words[:-1], str(number)])
        assert jobs.logged_status(log) == 0


def test_no_more_than_the_allowed_number_run_at_once(tmp_path):
    code = (
        "import os, sys, time; me = f'busy.{sys.argv[1]}'; open(me, 'w').close();"
        "n = len([f for f in os.listdir() if f.startswith('busy')]); time.sleep(0.2);"
        "os.remove(me); print(n)"
    )
    done = run_pl(
        tmp_path, "--max_jobs_run", "2", "JOB=1:6", "x.JOB.log", sys.executable, "-c", code, "JOB"
    )
    assert done.returncode == 0, done.stderr
    counts = [int((tmp_path / f"x.{n}.log").read_text().splitlines()[2]) for n in range(1, 7)]
    assert max(counts) <= 2


def test_a_failed_job_names_its_log_and_shows_its_end_and_the_others_go_on(tmp_path):
    code = "import sys\nfor i in range(100): print('line', i)\nsys.exit(3 * (sys.argv[1] == '2'))"
    done = run_pl(tmp_path, "JOB=1:3", "x.JOB.log", sys.executable, "-c", code, "JOB")
    assert done.returncode == 1
    assert "line 99" in done.stderr and "line 70\n" not in done.stderr
    last = done.stderr.splitlines()[-1]
    assert last == "run.pl: 1 of 3 jobs failed, job 2 ended with status 3; its log: x.2.log"
    assert [jobs.logged_status(tmp_path / f"x.{n}.log") for n in (1, 2, 3)] == [0, 3, 0]


def test_a_killed_job_and_a_missing_program_are_failures(tmp_path):
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    killed = run_pl(tmp_path, "killed.log", sys.executable, "-c", code)
    missing = run_pl(tmp_path, "missing.log", "no-such-program")
    assert killed.returncode == missing.returncode == 1
    assert "killed by SIGKILL" in killed.stderr
    assert "no-such-program: No such file" in missing.stderr


def test_a_log_that_was_cut_off_has_no_status(tmp_path):
    log = tmp_path / "x.log"
    assert jobs.logged_status(log) is None
    log.write_text("# started\nhalf a line")
    assert jobs.logged_status(log) is None


def test_when_interrupted_nothing_is_left_running(tmp_path):
    code = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    runner = subprocess.Popen([*RUN, "x.log", sys.executable, "-c", code], cwd=tmp_path)
    log = tmp_path / "x.log"
    try:
        while not (log.exists() and len(log.read_text().splitlines()) >= 3):
            assert runner.poll() is None
            time.sleep(0.05)
        runner.send_signal(signal.SIGTERM)
        assert runner.wait() != 0
    finally:
        runner.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(int(log.read_text().splitlines()[2]), 0)
