"""The augmented training set: balance, determinism, and each change on its own."""

from pathlib import Path

import augment
import corpus_audio
import corpus_sets
import numpy as np
import pytest


def test_variants_balance_the_domains_and_repeat(made, tmp_path):
    train = str(made / "dump/train")
    for name, nj in (("one", "1"), ("two", "2")):
        argv = [train, str(tmp_path / name), "--hours", "0.05", "--nj", nj]
        assert augment.main(argv) == 0
    first, second = (corpus_sets.read_set(tmp_path / name) for name in ("one", "two"))
    assert [p.utt for p in first] == [p.utt for p in second]
    for a, b in zip(first, second, strict=True):
        assert Path(a.path).read_bytes() == Path(b.path).read_bytes()
    total = sum(p.num_samples for p in first)
    for domain, share in augment.SHARES.items():
        mine = sum(p.num_samples for p in first if p.domain == domain)
        assert mine / total == pytest.approx(share, abs=0.1)
    originals = {p.utt for p in corpus_sets.read_set(made / "dump/train")}
    assert originals < {p.utt for p in first}
    loudest = max(np.abs(corpus_audio.read_flac(Path(p.path))).max() for p in first)
    assert loudest < 1.0


def test_another_plan_never_takes_over_old_variants(made):
    utterances = corpus_sets.read_set(made / "dump/train")
    asked = ((0.05, 0), (0.06, 0), (0.05, 1))
    plans = [augment.plan(utterances, hours, seed) for hours, seed in asked]
    for i, first in enumerate(plans):
        assert len({v.utt for v in first}) == len(first)
        for second in plans[i + 1 :]:
            same = {v.utt: v for v in first}
            assert all(same[v.utt] == v for v in second if v.utt in same)


def test_low_pass_is_steep():
    noise = np.random.default_rng(0).standard_normal(48000).astype(np.float32)
    power = np.abs(np.fft.rfft(augment.low_pass(noise, 4000.0))) ** 2
    hertz = np.fft.rfftfreq(48000, 1 / 24000)
    passed, stopped = power[(hertz > 500) & (hertz < 3800)], power[hertz > 4250]
    assert 10 * np.log10(stopped.mean() / passed.mean()) < -55


def test_mix_speed_gain_and_fade_do_as_they_say():
    rng = np.random.default_rng(0)
    voice, noise = rng.standard_normal((2, 24000)).astype(np.float32) * 0.1
    added = augment.mix(voice, noise[:5000], 10.0, 123) - voice
    assert 10 * np.log10(np.mean(voice**2) / np.mean(added**2)) == pytest.approx(10, abs=0.01)
    assert len(augment.change_speed(voice, 1.25)) == 19200
    assert np.abs(augment.change_gain(voice, 60.0)).max() <= 0.9991
    falling = augment.fade(np.ones(1000, np.float32), -60.0, 0.2, 0.7)
    assert falling[0] == 1 and falling[-1] == pytest.approx(1e-3)
    rising = augment.fade(np.ones(1000, np.float32), -60.0, 0.2, 0.7, rising=True)
    assert np.array_equal(rising, falling[::-1])
