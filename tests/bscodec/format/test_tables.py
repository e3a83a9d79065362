"""Tables come back from Python's csv as they were, whatever their fields hold."""

import csv

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from espnet2.gan_codec.bscodec.format.tables import formula_note, read_tsv, tsv_line

FIELDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


@given(st.lists(st.lists(FIELDS, min_size=2, max_size=4), max_size=4))
@example([['a\tb"', "\r"], ["\n", '"'], ["a\r\nb", "=1+1"], ["", ""]])
def test_a_table_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("table") / "a.tsv"
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(map(tsv_line, rows))
    with open(path, encoding="utf-8", newline="") as file:
        assert list(csv.reader(file, delimiter="\t")) == rows
    with open(path, encoding="utf-8", newline="") as file:
        assert list(read_tsv(file)) == rows


def test_plain_fields_stand_as_they_are():
    assert tsv_line(["a b", 1.5, None]) == "a b\t1.5\tNone\n"


def test_a_field_longer_than_csv_takes_is_a_value_error():
    with pytest.raises(ValueError, match="^no table: field larger than field limit"):
        list(read_tsv(["a" * 200_000]))


def test_formulas_are_noted():
    assert formula_note("t.tsv", ["a=1", "", "/b"]) is None
    for name in ("=1", "+1", "-1", "@a"):
        note = formula_note("t.tsv", ["a", name, name])
        assert note.startswith("t.tsv: 2 names or paths begin with = + - @: a spreadsheet")
