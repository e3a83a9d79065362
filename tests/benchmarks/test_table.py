"""The tables say what was measured."""

import pytest

from benchmarks import table
from benchmarks.bound import Work
from benchmarks.measure import ResourceUse, Speed
from benchmarks.paste import BEGIN, END, paste
from benchmarks.plot import plot
from benchmarks.results import Results, growth_systems


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


@pytest.fixture
def results():
    taken = {("A", "engine"): 0.5, ("A", "naive"): 2.0, ("B", "package"): 4.0}
    speeds = [
        Speed(*system, way, seconds, seconds * each * (2 if way == "decode" else 1))
        for seconds in (1, 10)
        for system, each in taken.items()
        for way in ("encode", "decode")
    ]
    costs = [
        ResourceUse("A", "naive", "encode", 1, 2.0, 10**9, 10**9 + 5 * 10**8),
        ResourceUse("A", "naive", "encode", 10, left_out="about 50 GB"),
        ResourceUse("B", "package", "encode", 10, 40.0, 10**9, 10**9 + 10**6),
    ]
    work = [Work("A", "encode", 2e10), Work("A", "decode", 1e10)]
    left_out = {"C": "not installed: pip install c"}
    return Results({"machine": "mine"}, speeds, costs, left_out, peak=5e10, work=work)


def test_speeds(results):
    head, rule, engine, naive, package = map(cells, table.speed_table(results).splitlines())
    assert head[:4] == ["model", "computation", "encode 1 s", "encode 10 s"]
    assert head[4:] == ["decode 1 s", "decode 10 s", "MB, encode 10 s", "MB, decode 10 s"]
    assert engine == ["A", "engine", "2 (x4.0)", "2 (x4.0)", "1 (x4.0)", "1 (x4.0)", "-", "-"]
    assert naive == ["A", "naive", "0.5", "0.5", "0.25", "0.25", "-", "-"]
    assert package[2:] == ["0.25", "0.25", "0.125", "0.125", "1001 (+1)", "-"]


def test_bounds(results):
    title, _, head, _, row = table.bound_table(results).splitlines()
    assert title == "Peak: 50 GFLOP/s"
    assert cells(head)[1:3] == ["GFLOP, encode", "GFLOP, decode"]
    assert cells(row) == ["A", "20", "10", "2.5 (x5.0)", "5 (x20.0)"]
    assert table.bound_table(results) in table.report(results)
    assert results.bound("B", "encode") is None


def test_growth(results):
    assert growth_systems(results) == [("A", "naive")]
    lines = list(map(cells, table.growth_table(results).splitlines()))
    assert lines[0][3:] == ["1 s", "10 s"]
    assert lines[2] == ["A", "naive", "encode", "2 s, +500", "(about 50 GB)"]
    assert lines[3] == ["A", "naive", "decode", "-", "-"]


def test_summary_has_ours_alone(results):
    lines = list(map(cells, table.summary(results).splitlines()))
    assert lines[2:] == [["A", "x4.0", "x4.0", "x4.0", "x4.0"]]


def test_report_names_what_is_missing(results):
    results.training = "training step  s"
    text = table.report(results)
    assert "- C: not installed: pip install c" in text
    assert "machine: mine" in text and results.training in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(row) for row in rows[:5]}) == 1  # aligned for a terminal


def test_json_holds_everything(results):
    assert Results.from_json(results.to_json()) == results


def test_lengths():
    names = [table.length(seconds) for seconds in (0.5, 1, 60, 600, 3600)]
    assert names == ["0.5 s", "1 s", "60 s", "10 min", "1 h"]


@pytest.mark.parametrize("suffix, start", [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_plot(results, tmp_path, suffix, start):
    path = tmp_path / f"cost.{suffix}"
    plot(results, path)
    assert path.read_bytes().startswith(start)


def test_paste_replaces_what_is_between_the_marks(tmp_path):
    document = tmp_path / "a.md"
    document.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    paste(document, "new\n")
    paste(document, "newer\n")
    assert document.read_text() == f"before\n{BEGIN}\nnewer\n{END}\nafter\n"


@pytest.mark.parametrize("text", ["", BEGIN, f"{END}{BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_paste_asks_for_the_marks(tmp_path, text):
    document = tmp_path / "a.md"
    document.write_text(text)
    with pytest.raises(ValueError, match="expected the marks"):
        paste(document, "new")
    assert document.read_text() == text
