"""Means, intervals, band energies and tables are what they say."""

from pathlib import Path

import numpy as np
import pytest

from espnet2.gan_codec.scoring.metrics.band_energy import EDGES, band_energies
from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.pairs import Pair, score_each
from espnet2.gan_codec.scoring.result import Result, Task
from espnet2.gan_codec.scoring.statistics import estimate
from espnet2.gan_codec.scoring.summary import CodingStats, summarise
from espnet2.gan_codec.scoring.tables import comparison, to_markdown, to_tsv


def result(system, name, domain="speech", failure=None, reasons=None, rates=(24000, 24000), **v):
    task = Task(system, name, domain, Path("r.wav"), Path("d.wav"), tuple(v))
    values = {key.replace("_", "-"): value for key, value in v.items()}
    if failure:
        return Result(task, failure=failure)
    return Result(task, 2.0, rates, ((1.0,), (1.0,)), values, reasons or {})


def test_interval_is_seeded_and_covers_the_mean():
    values = np.random.default_rng(0).normal(3, 1, 400)
    first = estimate(values, seed=1)
    assert first == estimate(list(values), seed=1) != estimate(values, seed=2)
    assert first.mean == pytest.approx(values.mean()) and first.count == 400
    # 1.96 standard errors on both sides, give or take the draws
    assert first.high - first.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert estimate([4.5], seed=0).low == estimate([4.5], seed=0).high == 4.5


def test_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    hits = 0
    for seed in range(40):
        found = estimate(rng.normal(0, 1, 60), seed)
        hits += found.low <= 0 <= found.high
    assert 34 <= hits <= 40


@pytest.mark.parametrize("num_samples", [1, 2, 999, 24000])
def test_band_energies_add_up_to_that_of_the_samples(num_samples):
    audio = np.random.default_rng(0).standard_normal(num_samples).astype(np.float32)
    assert sum(band_energies(audio, 24000)) == pytest.approx(np.square(audio).sum(), rel=1e-5)


@pytest.mark.parametrize("band", range(5))
def test_a_tone_is_in_its_band(band):
    hertz = (EDGES[band] + EDGES[band + 1]) / 2
    tone = np.sin(2 * np.pi * hertz * np.arange(48000) / 48000).astype(np.float32)
    energies = band_energies(tone, 48000)
    assert energies[band] == pytest.approx(24000) and sum(energies) == pytest.approx(24000)


class Fails:
    name, better, sampling_rate = "fails", "higher", 8000

    def __call__(self, reference, decoded):
        raise RuntimeError("no\nluck")


class IsInfinite(Fails):
    name = "infinite"

    def __call__(self, reference, decoded):
        return np.inf


class Length(Fails):
    name = "length"

    def __call__(self, reference, decoded):
        return len(reference) + len(decoded)


def test_a_metric_that_fails_costs_its_own_value_alone():
    pair = Pair(np.ones(16000), np.ones(16100), 16000)
    values, reasons = score_each(pair, [Fails(), Length(), IsInfinite()])
    assert values == {"length": 16000}  # both cut to 1 s, and at 8 kHz
    assert reasons == {"fails": "no luck", "infinite": "came out as inf"}
    assert pair.duration == 1.0


def test_summary_counts_failures_and_takes_means_over_the_rest():
    results = [
        result("a", "1", PESQ=2.0, mel=1.0),
        result("a", "2", PESQ=4.0, mel=2.0, rates=(24000, 48000)),
        result("a", "3", mel=3.0, reasons={"PESQ": "no utterance"}),
        result("a", "4", failure="no such file"),
        result("a", "5", "music", mel=5.0),
    ]
    cost = CodingStats(bits={"1": 6000, "2": 10000, "4": 10**9}, encode_seconds={"1": 0.5})
    (system,) = summarise(results, {"a": cost}, ["a"], seed=0)
    speech = system.domains["speech"]
    assert list(system.domains) == ["speech", "music"]
    assert (speech.pairs, speech.failed, speech.resampled) == (4, 1, 1)
    assert (speech.metrics["PESQ"].mean, speech.metrics["PESQ"].count) == (3.0, 2)
    assert speech.metrics["mel"].mean == 2.0 and system.all.metrics["mel"].mean == 2.75
    assert speech.undefined == {"PESQ": 1}
    assert speech.kbps == pytest.approx(4.0)  # 16 kbit in 4 s: the failed pair does not count
    assert speech.encode_speed == pytest.approx(4.0) and speech.decode_speed is None
    assert system.domains["music"].kbps is None


def test_paper_table_has_its_columns_arrows_and_the_best_in_bold():
    results = []
    for name, pesq, mel in (("one", 2.0, 0.5), ("two", 3.0, 0.4999), ("three", 1.0, 0.7)):
        results += [
            result(name, "s", PESQ=pesq, SI_SDR=1.0),
            result(name, "m", "music", mel=mel, STFT=1.0),
        ]
    systems = summarise(
        results, {"two": CodingStats({"s": 3000})}, ["one", "two", "three"], seed=0
    )
    table = comparison(systems, paper=True)
    heads = [" ".join(head).strip() for head in table.head]
    assert heads == ["kbps", "speech PESQ ↑", "music mel ↓", "music STFT ↓"]
    marked = {name: [c.text + "*" * c.best for c in cells] for name, cells in table.rows}
    assert marked == {  # what looks equal is equally good
        "one": ["–", "2.000", "0.500*", "1.000*"],
        "two": ["1.50", "3.000*", "0.500*", "1.000*"],
        "three": ["–", "1.000", "0.700", "1.000*"],
    }
    further = comparison(systems, paper=False)
    assert [" ".join(head).strip() for head in further.head] == ["kbps", "speech SI-SDR ↑"]


def test_markdown_is_whole_and_a_system_alone_is_not_the_best():
    results = [result("a|b", "1", PESQ=2.0), result("a|b", "2", failure="x")]
    text = to_markdown(summarise(results, {}, ["a|b"], 0), {"UTMOS": "UTMOS cannot be had"})
    assert "| a\\|b | – | 2.000 |" in text and "**" not in text
    assert "| a\\|b | speech | PESQ ↑ | 2.000 | 2.000 to 2.000 | 1 |" in text
    assert "- Not scored: UTMOS cannot be had." in text
    assert "- a\\|b: 1 of 2 pairs failed." in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.endswith(" |") for line in rows)


def test_tsv_has_a_line_a_pair_and_says_what_went_wrong():
    results = [
        result("a", "1", PESQ=2.5, mel=1.0, reasons={"STOI": "too short"}),
        result("a", "2", failure="no such file"),
    ]
    head, first, second = (x.split("\t") for x in to_tsv(results, {("a", "1"): 7}).splitlines())
    assert dict(zip(head, first, strict=True)) == {
        "system": "a",
        "utterance": "1",
        "domain": "speech",
        "seconds": "2.0",
        "bits": "7",
        "PESQ": "2.5",
        "mel": "1.0",
        "sampling_rate": "24000",
        "decoded_sampling_rate": "24000",
        "reference": "r.wav",
        "decoded": "d.wav",
        "error": "STOI: too short",
    }
    assert dict(zip(head, second, strict=True))["error"] == "no such file"


def test_pairs_too_unlike_in_length_are_refused():
    with pytest.raises(ScoringError, match="at most 0.1 s of difference"):
        Pair(np.ones(16000), np.ones(20000), 16000)
