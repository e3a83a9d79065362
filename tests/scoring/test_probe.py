"""The probe battery: what is measured of signals that are kept, changed or lost."""

import json

import numpy as np
import pytest

from espnet2.gan_codec.scoring.probe.measure import MAX_LEVEL_ERROR, failures, measure
from espnet2.gan_codec.scoring.probe.report import summary, tone_picture
from espnet2.gan_codec.scoring.probe.signals import HELD_BACK, TONES, at_level, battery

RATE = 24000
CLIPS = {"speech": 0.1 * np.random.default_rng(0).standard_normal(RATE).astype(np.float32)}
PROBES = list(battery(RATE, CLIPS))


def test_signals_are_sound_and_the_same_each_time():
    again = list(battery(RATE, CLIPS))
    for probe, other in zip(PROBES, again, strict=True):
        assert probe.audio.dtype == np.float32 and len(probe.audio) >= RATE
        assert np.isfinite(probe.audio).all() and np.abs(probe.audio).max() <= 1.0, probe.name
        assert np.array_equal(probe.audio, other.audio)
    names = [(probe.kind, probe.name) for probe in PROBES]
    assert len(set(names)) == len(names)


def test_tones_have_their_level_and_the_held_back_ones_are_others():
    tones = [probe for probe in PROBES if probe.kind == "tone"]
    assert {probe.frequency for probe in tones} == set(map(float, TONES))
    for probe in tones:
        power = 10 * np.log10(np.mean(np.square(probe.audio, dtype=np.float64)))
        assert power == pytest.approx(probe.level, abs=0.01)
    assert not set(TONES) & set(HELD_BACK) and max(HELD_BACK) > 10000
    low = [probe for probe in battery(8000, {}) if probe.kind == "tone"]
    assert max(probe.frequency for probe in low) < 4000


def test_what_is_kept_passes():
    results = [measure(probe, probe.audio, RATE) for probe in PROBES]
    assert failures(results) == []
    for result in results:
        assert result.level_error == 0
        assert result.share is None or result.share > 0.97, result


@pytest.mark.parametrize("gain", [-12.0, -2.0, 4.0])
def test_a_gain_is_the_level_error(gain):
    for probe in PROBES[::7]:
        result = measure(probe, probe.audio * 10 ** (gain / 20), RATE)
        assert result.level_error == pytest.approx(gain, abs=0.01)
        assert result.passes == (abs(gain) <= MAX_LEVEL_ERROR)


def test_what_is_lost_or_elsewhere_fails():
    noise = np.random.default_rng(1).standard_normal(2 * RATE)
    for probe in PROBES:
        silent = measure(probe, np.zeros_like(probe.audio), RATE)
        assert not silent.passes and silent.share in (None, 0.0)
        if probe.kind == "tone" and probe.level is not None:
            spread = at_level(noise[: len(probe.audio)], probe.level)
            result = measure(probe, spread, RATE)
            assert result.share is not None and result.share < 0.1 and not result.passes


@pytest.mark.parametrize(("factor", "passes"), [(1.01, True), (1.06, False)])
def test_a_tone_may_be_off_by_three_percent(factor, passes):
    time = np.arange(RATE) / RATE
    for probe in PROBES:
        if probe.kind == "tone" and probe.frequency and 300 < probe.frequency < 10000:
            other = at_level(np.sin(2 * np.pi * factor * probe.frequency * time), probe.level or 0)
            assert measure(probe, other, RATE).passes == passes, probe.name


def test_table_and_picture():
    results = [measure(probe, 0.5 * probe.audio, RATE) for probe in PROBES]
    lines = summary(results)
    kinds = list(dict.fromkeys(probe.kind for probe in PROBES))
    assert [line.split("|")[1].strip() for line in lines[2:]] == kinds
    assert "-6.0" in lines[2] and tone_picture(results).startswith(b"\x89PNG")


def test_the_command(tmp_path, monkeypatch, capsys):
    from espnet2.bin.bscodec import main

    monkeypatch.setattr("espnet2.gan_codec.scoring.probe.signals.LEVELS", (-13.0,))
    monkeypatch.setattr("espnet2.gan_codec.scoring.probe.signals.HELD_BACK", (440,))
    assert main(["probe", "-o", str(tmp_path / "p"), "--held-back", "--device", "cpu"]) == 0
    found = json.loads((tmp_path / "p" / "results.json").read_text())
    assert found["model"] == "bscodec-mini" and found["results"][0]["frequency"] == 440
    assert {path.name for path in (tmp_path / "p").iterdir()} == {
        "results.json", "summary.md", "tones.png"
    }  # fmt: skip
    assert "signals pass" in capsys.readouterr().out
