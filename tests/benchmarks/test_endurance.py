"""The endurance run: all of it, on little."""

import pytest

from benchmarks import endurance


@pytest.mark.long
def test_a_short_run_has_all_rows(tmp_path, capsys):
    line = ["--files", "4", "--hours", "0.002", "--processes", "2", "--work", str(tmp_path)]
    assert endurance.main(line) == 0
    table = capsys.readouterr().out.splitlines()
    assert len(table) == 2 + 9 and all(row.count("|") == 10 for row in table)
    assert list(tmp_path.iterdir()) == []


def test_looks_are_found_by_their_part_of_the_run():
    looks = [endurance.Look(float(i), i, i, i) for i in range(11)]
    row = endurance.Row("a", looks)
    assert [row.at(part).resident for part in (0, 0.1, 0.5, 1)] == [0, 1, 5, 10]
