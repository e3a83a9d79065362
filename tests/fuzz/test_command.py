"""``make fuzz`` itself, with a stand-in for the process that fuzzes."""

import pytest

import fuzz.__main__ as command

QUIET = """
echo '#2 INITED cov: 30 ft: 40 corp: 1/1b'
echo '#9 NEW    cov: 31 ft: 45 corp: 2/2b'
echo 'stat::number_of_executed_units: 1234'
"""
FINDING = """
echo '#7 NEW    cov: 5 ft: 6 corp: 2/2b'
for word; do case "$word" in -artifact_prefix=*) prefix=${word#*=};; esac; done
echo "artifact_prefix='$prefix'; Test unit written to ${prefix}crash-12"
exit 77
"""


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    for folder in ("CASES", "CORPUS", "FOUND"):
        monkeypatch.setattr(command, folder, tmp_path / folder.lower())
    monkeypatch.chdir(tmp_path)

    def call(script):
        stand_in = tmp_path / "python"
        stand_in.write_text(f"#!/bin/sh\n{script}")
        stand_in.chmod(0o755)
        monkeypatch.setattr(command.sys, "executable", str(stand_in))
        return command.main(["--minutes", "1", "--only", "header"]), *capsys.readouterr()

    return call


def test_a_run_that_finds_nothing(run, tmp_path):
    status, out, _ = run(QUIET)
    assert status == 0 and len(out.splitlines()) == 3
    cells = [cell.strip() for cell in out.splitlines()[2].split("|")[1:-1]]
    assert (cells[0], cells[1], *cells[3:]) == ("header", "1,234", "31", "45", "0")
    assert len([*(tmp_path / "corpus" / "header").iterdir()]) == 3  # the seeds
    assert not [*(tmp_path / "found").iterdir()]


def test_a_finding_is_a_status_and_a_command_also_when_found_again(run):
    for _ in range(2):
        status, out, _ = run(FINDING)
        assert status == 1
        assert out.endswith("python -m fuzz --repro header found/header-crash-12\n")


def test_a_worker_that_cannot_run_is_an_error(run):
    status, _, err = run("echo 'No module named atheris' >&2; exit 1")
    assert status == 2 and "fuzz: error: header: ended with 1 after 0 executions: see " in err


def test_an_input_is_run_again_without_atheris(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "be_quiet", lambda: None)  # for the whole process
    for data, outcome in (
        (command.TARGETS["header"].seeds()[0], "accepted"),
        (b"RIFF", "refused"),
    ):
        (tmp_path / "a").write_bytes(data)
        assert command.main(["--repro", "header", str(tmp_path / "a")]) == 0
        assert f"a: {outcome}" in capsys.readouterr().out
