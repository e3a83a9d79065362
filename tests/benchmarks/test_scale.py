"""Made-up lists: planned, checked and merged by the real functions; and the tables."""

import pytest

from benchmarks import million, scale, simulation


def test_a_run_of_a_thousand_utterances(tmp_path, capsys):
    assert scale.main(["--utterances", "1e3", "2", "--work", str(tmp_path)]) == 0
    rows = [line.split("|")[1:-1] for line in capsys.readouterr().out.splitlines()]
    steps = [cell.strip().partition(":")[0] for cell in rows[0][2:6]]
    assert steps == ["plan", "check", "merge", "look-up"]
    assert [[cell.strip() for cell in row[:2]] for row in rows[2:]] == [
        ["1,000", "100"],
        ["2", "1"],
    ]
    assert list(tmp_path.iterdir()) == []


def test_a_plan_alone_writes_no_shards(tmp_path):
    run = simulation.simulate(tmp_path / "tokens", 2500, plan_only=True)
    assert [step.name for step in run.steps] == ["plan"] and run.shards == 100
    assert run.sizes["list"] == sum(map(len, simulation.made_up_lines(2500)))
    assert run.sizes["indexes"] == run.sizes["tables"] == 0


def test_what_is_not_to_be_run_is_one_line(tmp_path, capsys, monkeypatch):
    with pytest.raises(SystemExit):
        scale.main(["--utterances", "1.5"])
    assert "1.5: expected a whole number" in capsys.readouterr().err.splitlines()[-1]
    monkeypatch.setattr(scale, "BYTES_EACH", 10**18)
    assert scale.main(["--utterances", "1", "--work", str(tmp_path)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("scale: error: ") and line.endswith("GB are needed")


def test_more_workers_take_less_time_and_the_same_work():
    figures = million.Figures(
        cpu_seconds=36.0,
        audio_bytes=1e8,
        token_bytes={"ark": 4e6},
        plan=1e-6,
        check=2e-6,
        merge=3e-6,
        hash_rate=2e9,
        list_bytes=60,
        index_bytes=45,
        table_bytes=180,
    )
    rows = million.workers_table(figures).splitlines()[2:]
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in rows]
    assert [row[:3] for row in cells[:3]] == [
        ["1 x CPU core", "10,000", "417 days"],
        ["100 x CPU core", "10,000", "4.17 days"],
        ["10,000 x CPU core", "10,000", "1 h"],
    ]
    line = "One process: planning 1.7 min, check 3.3 min, merge 5 min, digests of all ark 12 min."
    assert million.first_process(figures) == line
    assert "| ark    |            40.0 | 4.00 |" in million.storage_table(figures)


def test_the_estimate_measures_and_prints_all_tables(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(million, "SAMPLE", 100)
    monkeypatch.setattr(million, "REPEATS", 1)
    monkeypatch.setattr(million, "UTTERANCE_SECONDS", 2)
    assert scale.main(["--estimate", "--work", str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    for form in (*million.FORMATS, million.TAR):
        assert f"\n| {form} " in printed
    assert printed.count("x CPU core") == printed.count("x GPU") == len(million.WORKERS)
    assert list(tmp_path.iterdir()) == []
