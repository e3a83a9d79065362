"""Names with tabs, quotes and line breaks, or that a spreadsheet would compute, in all tables."""

import csv
from pathlib import Path

from espnet2.gan_codec.bscodec.demo.clips import find_clips
from espnet2.gan_codec.bscodec.format.tables import tsv_line

from ..experiments import assert_one_error, write_audio


def rows(path):
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter="\t"))


def test_what_was_skipped_comes_back_as_it_was(workplace, bscodec):
    write_audio("in/good.wav")
    names = ['a"b', "tab\tbed", "cut\rin", "=cmd()"]
    Path("wav.scp").write_bytes(
        b"".join(f"{n} in/{name}.wav\n".encode() for n, name in enumerate([*names, "good"]))
        + b"=two none.wav\n"
    )
    result = bscodec("tokenize wav.scp -o out --nj 1")
    assert result.status == 0
    (note,) = result.notes
    assert "out/skipped.tsv: 1 names or paths begin with = + - @: a spreadsheet" in note
    expected = [[str(n), f"in/{name}.wav"] for n, name in enumerate(names)]
    assert [row[:2] for row in rows("out/skipped.tsv")] == [*expected, ["=two", "none.wav"]]


def test_scores_come_back_as_they_were(workplace, bscodec):
    names = ["speech_a\tb", "speech_c\rd", 'speech_"e"', "speech_f\ng", "=speech"]
    for folder in ("ref", "hyp"):
        for name in names:
            write_audio(f"{folder}/{name}.wav", 9000)
    result = bscodec("score --ref ref --hyp hyp --outdir out --metrics SI-SDR --no-report")
    assert result.status == 0
    assert any("out/utterances.tsv: 1 names or paths begin" in note for note in result.notes)
    head, *table = rows("out/utterances.tsv")
    assert sorted(row[head.index("utterance")] for row in table) == sorted(names)
    assert all(len(row) == len(head) for row in table)


def test_licences_of_clips_with_odd_names(workplace):
    name = 'speech_a\tb\r"c"\nd'
    write_audio(f"in/{name}.wav")
    table = Path("in/licences.tsv")
    head, row = ("clip", "licence", "attribution", "source"), (name, "CC0", '"A" & B', "=here")
    table.write_text(tsv_line(head) + tsv_line(row), newline="")
    (clip,) = find_clips(Path("in"))
    assert (clip.name, clip.licence, clip.attribution, clip.source) == row


def test_entries_that_no_table_could_hold_are_refused(workplace, bscodec):
    Path("wav.scp").write_text(f"a {'b' * 70_000}.wav\n")
    result = bscodec("tokenize wav.scp -o out --nj 1")
    assert_one_error(result, "wav.scp: line 1: what follows the name has more than 65536 bytes")


def test_a_reason_is_short(workplace, bscodec):
    Path("wav.scp").write_text("a head -c 300000 /dev/zero | tr '\\0' x >&2; false |\n")
    assert bscodec("tokenize wav.scp -o out --nj 1 --allow-commands").status == 1
    ((*_, reason),) = rows("out/skipped.tsv")
    assert reason == "its command fails: ..."
