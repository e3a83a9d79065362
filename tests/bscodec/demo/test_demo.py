"""``bscodec demo``: the files it makes agree with each other and with what was coded."""

import csv
import json

import numpy as np
import pytest
import soundfile

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec.demo.clips import COLUMNS, SHIPPED, find_clips
from espnet2.gan_codec.bscodec.demo.report import axis_marks
from espnet2.gan_codec.bscodec.format.bitstream import BscReader
from espnet2.gan_codec.scoring.metrics.mel_distance import MelDistance
from espnet2.gan_codec.scoring.metrics.stft_distance import STFTDistance
from espnet2.gan_codec.scoring.pairs import score_pair
from tests.page import Page


@pytest.fixture
def page(demo):
    return Page((demo / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def records(demo):
    return json.loads((demo / "results.json").read_text(encoding="utf-8"))


def test_shipped_clips_are_four_of_each_domain_with_licences():
    clips = find_clips()
    assert [clip.domain for clip in clips] == ["speech"] * 4 + ["sound"] * 4 + ["music"] * 4
    for clip in clips:
        assert clip.licence and clip.attribution and clip.source
        info = soundfile.info(clip.path)
        assert (info.samplerate, info.channels) == (24000, 1)
    assert sum(path.stat().st_size for path in SHIPPED.iterdir()) < 1.5e6


def test_results_are_those_of_the_files(demo, clips_folder, records):
    assert [r["name"] for r in records["clips"]] == ["speech_a&b <i>", "music_tone"]
    for record in records["clips"]:
        name = record["name"]
        encoded = demo / "encoded" / f"{name}.bsc"
        with BscReader(encoded) as reader:
            header = reader.header
        assert record["file_bytes"] == encoded.stat().st_size
        assert record["payload_bits"] == header.payload_bits
        assert record["file_kbps"] == pytest.approx(
            encoded.stat().st_size * 8 / header.duration / 1000
        )
        decoded, rate = soundfile.read(demo / "decoded" / f"{name}.wav", dtype="float32")
        assert (len(decoded), rate) == (header.num_samples, 24000)
        if name != "music_tone":
            original, _ = soundfile.read(clips_folder / f"{name}.flac", dtype="float32")
            scores = score_pair(original, decoded, rate, [MelDistance(), STFTDistance()])
            assert record["mel_distance"] == pytest.approx(scores["mel"])
            assert record["stft_distance"] == pytest.approx(scores["STFT"])


def test_domains_pool_bits_and_times_and_average_distances(records):
    *domains, total = records["domains"]
    clips = records["clips"]
    assert [d["name"] for d in domains] == ["speech", "music"]
    assert (total["name"], total["clips"]) == ("all", 2)
    assert total["file_kbps"] == pytest.approx(
        sum(c["file_bytes"] for c in clips) * 8 / sum(c["seconds"] for c in clips) / 1000
    )
    assert total["mel_distance"] == pytest.approx(np.mean([c["mel_distance"] for c in clips]))
    assert total["decode_speed"] == pytest.approx(
        sum(c["seconds"] for c in clips) / sum(c["decode_seconds"] for c in clips)
    )
    for domain, clip in zip(domains, clips, strict=True):
        numbers = {k: v for k, v in domain.items() if k not in ("name", "domain")}
        assert numbers.items() <= clip.items()


def test_tsv_and_json_hold_the_same(demo, records):
    with open(demo / "results.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert [row.pop("row") for row in rows] == ["clip"] * 2 + ["domain"] * 3
    for row, record in zip(rows, records["clips"] + records["domains"], strict=True):
        assert row == {name: str(value) for name, value in record.items()}


def test_page_asks_for_nothing(page):
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#")), attributes
    assert "default-src 'none'" in page.all("meta")[2]["content"]
    styles = [text for tag, text in page.texts if tag in ("style", "script")]
    assert len(styles) == 2 and not any("url(" in text or "://" in text for text in styles)


def test_every_clip_is_seen_and_heard_on_both_sides(page):
    assert [player["src"][:23] for player in page.all("audio")] == ["data:audio/flac;base64,"] * 4
    assert [image["src"][:22] for image in page.all("img")] == ["data:image/png;base64,"] * 4
    assert len(page.all("path")) == 4
    labels = [player["aria-label"] for player in page.all("audio")]
    assert labels[:2] == ["speech_a&b <i>, original", "speech_a&b <i>, decoded"]
    assert all(image["alt"] for image in page.all("img"))
    assert all(drawing["aria-label"] for drawing in page.all("svg"))
    anchors = {a["href"] for a in page.all("a")}
    assert anchors == {f"#{clip['id']}" for clip in page.all("article")}


def test_table_on_the_page_equals_the_results(page, records):
    texts = [text for tag, text in page.texts if tag == "td"]
    (speech, music), (*domains, total) = records["clips"], records["domains"]
    shown = []
    for r in (domains[0], speech, domains[1], music, total):
        shown += [f"{r['seconds']:.2f}", f"{r['file_kbps']:.2f}", f"{r['payload_kbps']:.2f}"]
        shown += [f"{r['mel_distance']:.3f}", f"{r['stft_distance']:.3f}"]
        shown += [f"{r['encode_speed']:.0f}x", f"{r['decode_speed']:.0f}x"]
    assert texts[: len(shown)] == shown


def test_page_names_licences_model_and_command(page, records, clips_folder):
    texts = " | ".join(text for _, text in page.texts)
    assert "<b>A</b> & B. Licence: CC0-1.0." in texts
    assert records["model"]["tag"] == "tiny" and "tiny" in texts
    assert records["model"]["fingerprint"] in texts
    assert f"--clips {clips_folder}" in records["run"]["command"]
    assert records["run"]["command"] in texts


def test_terminal_shows_the_same_rows(tiny_model, clips_folder, tmp_path, capsys):
    assert (
        main(["demo", "--out", str(tmp_path), "--model", str(tiny_model)] + clips_of(clips_folder))
        == 0
    )
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines[2:4]] == ["speech_a&b <i>", "music_tone"]
    assert [line.split(" ")[0] for line in lines[5:8]] == ["speech", "music", "all"]
    assert len({len(line) for line in lines[:8]}) == 1


def clips_of(folder):
    return ["--clips", str(folder), "--device", "cpu"]


def fails_with(arguments, capsys):
    assert main(["demo", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("bscodec: error: ") and error.count("\n") == 1
    return error


@pytest.mark.parametrize("package", ["auraloss", "matplotlib"])
def test_missing_extras_are_named(package, tmp_path, monkeypatch, capsys):
    from espnet2.gan_codec.bscodec.cli import demo

    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == package else name)
    error = fails_with(["--out", str(tmp_path / "out")], capsys)
    assert package in error and "pip install 'espnet-bscodec[demo]'" in error
    assert not (tmp_path / "out").exists()


def test_folders_without_clips_are_refused(tmp_path, capsys):
    assert "no such folder" in fails_with(["--clips", str(tmp_path / "no")], capsys)
    assert "no audio file" in fails_with(["--clips", str(tmp_path)], capsys)
    for suffix in ("wav", "flac"):
        soundfile.write(tmp_path / f"a.{suffix}", np.zeros(100), 24000)
    assert "different names" in fails_with(["--clips", str(tmp_path)], capsys)
    (tmp_path / "a.wav").unlink()
    (tmp_path / "licences.tsv").write_text("clip\tlicence\na\tMIT\n")
    assert f"expected the columns {', '.join(COLUMNS)}" in fails_with(
        ["--clips", str(tmp_path)], capsys
    )


@pytest.mark.parametrize("end", [0.0007, 0.375, 1, 4.0, 4.02, 12, 600])
def test_axes_have_a_few_round_marks(end):
    marks = axis_marks(end)
    assert marks[0].text == "0" and 3 <= len(marks) <= 6
    assert all(float(mark.text) * 100 == pytest.approx(mark.place * end) for mark in marks)
    assert marks[-1].place <= 100 + 1e-9
