"""The comparison of idle and busy cores."""

import multiprocessing

import pytest

from benchmarks import busy


def test_busy_cpus_end_with_the_block():
    with pytest.raises(KeyError), busy.busy_cpus(2):
        assert len(multiprocessing.active_children()) == 2
        raise KeyError
    assert not multiprocessing.active_children()


def test_every_job_runs_before_beside_and_without_others():
    seen = []
    jobs = {name: lambda name=name: seen.append(name) for name in "ab"}
    rows = busy.compare(jobs, 3, 1)
    assert seen == ["a", "b"] * 7
    assert [row.name for row in rows] == ["a", "b"] and all(row.busy > 0 for row in rows)


@pytest.mark.long
def test_the_command_prints_a_row_for_each_job(capsys):
    assert busy.main(["--quick"]) == 0
    text = capsys.readouterr().out
    for job in ("bscodec-mini, encode 0.5 s", "3-band, decode 0.5 s", "bscodec score"):
        assert f"| {job}" in text


def test_a_folder_without_configs_is_one_line(tmp_path, capsys):
    assert busy.main(["--quick", "--conf", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("benchmarks.busy: error: ")
