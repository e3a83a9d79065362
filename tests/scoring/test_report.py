"""The page holds what was scored, for those who look and those who listen."""

import csv
import json
import shutil

import numpy as np
import pytest
import soundfile

from espnet2.bin.gan_codec_score import main
from espnet2.gan_codec.scoring.report import plots
from espnet2.gan_codec.scoring.report.examples import MAX_SECONDS, WORST, worst_of
from espnet2.gan_codec.scoring.result import Result, Task
from tests.page import Page

from .conftest import COUNT, RATE, voice


@pytest.fixture(scope="session")
def page(scored):
    return Page((scored / "report.html").read_text(encoding="utf-8"))


def test_page_asks_for_nothing(page):
    for _, attributes in page.elements:
        for name in ("src", "href"):
            assert attributes.get(name, "#").startswith(("data:", "#")), attributes
    assert "default-src 'none'" in page.all("meta")[2]["content"]


def test_the_worst_ten_of_each_system_are_seen_and_heard_on_both_sides(page, scored):
    players = page.all("audio")
    assert len(page.all("article")) == 2 * WORST and len(players) == 4 * WORST
    assert all(player["src"].startswith("data:audio/flac;base64,") for player in players)
    assert len(page.all("img")) == 4 * WORST
    names = [text for tag, text in page.texts if tag == "h3" and text.startswith(("sp", "mus"))]
    with open(scored / "utterances.tsv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    for i, system in enumerate(["two", "<i>one&"]):
        ours = [row for row in rows if row["system"] == system and row["mel"]]
        ours.sort(key=lambda row: -float(row["mel"]))
        assert names[i * WORST : (i + 1) * WORST] == [row["utterance"] for row in ours[:WORST]]


def test_tables_histograms_and_failures_are_those_of_the_summary(page, scored):
    texts = [text for _, text in page.texts]
    summary = json.loads((scored / "summary.json").read_text(encoding="utf-8"))
    for system in summary["systems"].values():
        for group in system["domains"].values():
            assert f"{group['metrics']['mel']['mean']:.3f}" in texts
    assert texts.count("30 of 32 codes used, perplexity 30.0") == 2
    assert texts.count("30 of 1024 codes used, perplexity 30.0") == 2
    assert any(text.startswith("two, speech_5: ") for text in texts)
    assert "two: 1 of 12 pairs failed." in texts
    assert any("<i>one&=" in text for tag, text in page.texts if tag == "code")
    assert len(page.all("i")) == 2 * 2  # the dots of two keys to the colours, and no system's name


def test_every_scored_pair_is_in_the_scatter(scored):
    text = (scored / "report.html").read_text(encoding="utf-8")
    start = text.index('id="pairs">') + len('id="pairs">')
    data = json.loads(text[start : text.index("</script>", start)])
    assert data["systems"] == ["two", "<i>one&"]
    assert len(data["pairs"]) == 2 * COUNT - 1
    assert [m["name"] for m in data["metrics"]] == ["mel", "SI-SDR"]
    assert all(len(pair["v"]) == 2 and None not in pair["v"] for pair in data["pairs"])


def write_pair(folder, name, original, decoded):
    paths = [folder / f"{name}_{side}.wav" for side in ("a", "b")]
    for path, audio in zip(paths, (original, decoded), strict=True):
        soundfile.write(path, audio, RATE)
    return paths


def test_of_a_long_recording_the_part_that_differs_most_is_shown(tmp_path):
    audio = voice(20)
    decoded = audio.copy()
    decoded[13 * RATE : 15 * RATE] = 0
    task = Task("s", "n", "speech", *write_pair(tmp_path, "x", audio, decoded), ("mel",))
    worst = worst_of("s", [Result(task, 20.0, (RATE, RATE), ((), ()), {"mel": 1.0})])
    (example,) = worst.examples
    assert example.begin <= 13 and example.begin + MAX_SECONDS >= 15
    assert worst.by == "mel"


def test_worst_is_the_far_end_of_the_metric(tmp_path):
    audio = voice(0.3)
    results = []
    for i, value in enumerate([3.0, 1.0, 2.0]):
        paths = write_pair(tmp_path, str(i), audio, audio)
        task = Task("s", str(i), "speech", *paths, ("SI-SDR",))
        results.append(Result(task, 0.3, (RATE, RATE), ((), ()), {"SI-SDR": value}))
    ranked = [e.result.task.name for e in worst_of("s", results).examples]
    assert ranked == ["1", "2", "0"]
    assert worst_of("other", results) is None


def test_energy_is_told_in_decibels_by_domain():
    task = Task("s", "n", "music", "r", "d", ())
    energies = (4.0, 4.0, 0.0, 1.0, 1.0), (4.0, 0.4, 1.0, 0.0, 100.0)
    results = [Result(task, energies=energies)] * 2
    ((domain, ((system, cells),)),) = plots.energy_table(["s"], results)
    assert (domain, system) == ("music", "s")
    assert [cell.text for cell in cells] == ["+0.0", "-10.0", "–", "-∞", "+20.0"]
    assert [np.sign(cell.tint) for cell in cells] == [0, -1, 0, -1, 1]


@pytest.mark.skipif(shutil.which("opusenc") is None, reason="no opus-tools here")
def test_rate_quality_has_a_point_a_system(utterances, tmp_path):
    words = ["--ref", str(utterances / "ref"), "--outdir", str(tmp_path), "--peer", "opus:8"]
    assert main([*words, "--peer", "opus:48", "--metrics", "STFT"]) == 0
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    labels = [drawing["aria-label"] for drawing in page.all("svg")]
    assert "music: STFT ↓ over bitrate" in labels
    assert len(page.all("circle")) == 2
    points = [text for tag, text in page.texts if tag == "title" and text.startswith("opus-")]
    assert [text.partition(":")[0] for text in points] == ["opus-8k", "opus-48k"]
