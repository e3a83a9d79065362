"""Changes of the training audio on its device."""

import math

import pytest
import torch

from espnet2.gan_codec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.model.config import ConfigError
from espnet2.gan_codec.bscodec.training.augmentation import (
    Augmentation,
    AugmentConfig,
    _Draw,
    change_gain,
    change_speed,
    draw_tones,
    fade,
    low_pass,
    mix,
)
from tests.bscodec.conftest import tiny_conf

FS = 24000
OFF = {f"{kind}_chance": 0.0 for kind in ("speed", "tone", "mix", "low_pass", "fade")}


def sine(hertz, length=12000):
    return torch.sin(2 * math.pi * hertz / FS * torch.arange(length))[None]


def column(*values):
    return torch.tensor(values)[:, None]


def peak_hertz(x):
    spectrum = torch.fft.rfft(x * torch.hann_window(x.shape[1])).abs()
    return spectrum.argmax(1) * FS / x.shape[1]


def db(x):
    return 20 * torch.log10(x)


def test_speed_moves_the_pitch_and_adds_nothing_else():
    speeds = column(0.75, 1.0, 1.3)
    y = change_speed(sine(1000).repeat(3, 1), speeds, column(0.2, 0.5, 1.0), 8192)
    assert y.shape == (3, 8192)
    assert torch.allclose(peak_hertz(y), 1000 * speeds[:, 0], atol=2)
    spectrum = torch.fft.rfft(y * torch.hann_window(8192)).abs()
    for row, speed in zip(spectrum, speeds[:, 0].tolist(), strict=True):
        away = (torch.arange(len(row)) * FS / 8192 - 1000 * speed).abs() > 100
        away[:100] = away[-100:] = False
        assert db(row[away].max() / row.max()) < -70


def test_a_higher_speed_does_not_alias():
    y = change_speed(sine(11000), column(1.3), column(0.5), 8192)
    assert db(y[:, 100:-100].abs().max()) < -30


def test_a_speed_of_one_is_a_crop():
    x = torch.randn(1, 9000)
    y = change_speed(x, column(1.0), column(0.37), 8192)[0]
    start = math.floor(torch.tensor(0.37).item() * (9000 - 8192))
    assert torch.allclose(y, x[0, start : start + 8192], atol=1e-5)


def test_mixed_in_audio_lies_as_far_below_as_asked():
    x, other = torch.randn(2, 8000), 3 * torch.randn(2, 8000)
    y = mix(x, other, column(0.0, 12.0))
    ratio = db(x.norm(dim=1) / (y - x).norm(dim=1))
    assert torch.allclose(ratio, torch.tensor([0.0, 12.0]), atol=0.01)
    silent = torch.zeros(2, 8000)
    assert torch.equal(mix(x, silent, column(0.0, 0.0)), x)
    assert torch.equal(mix(silent, other, column(0.0, 0.0)), silent)


def test_low_pass_cuts_above_its_edge_and_nothing_below():
    x = torch.cat([sine(2500), sine(4000)])
    y = low_pass(x, column(3000.0, 3000.0), FS)[:, 1000:-1000]
    assert torch.allclose(y[0], x[0, 1000:-1000], atol=0.01)
    assert db(y[1].abs().max()) < -35


def test_fade_ends_at_its_depth():
    x = torch.ones(2, 1000)
    y = db(fade(x, column(-40.0, -40.0), torch.tensor([[False], [True]])))
    assert torch.allclose(y[:, [0, -1]], torch.tensor([[0.0, -40.0], [-40.0, 0.0]]), atol=1e-3)


def test_gain_stops_where_it_would_clip():
    x = torch.tensor([[0.5, -0.25], [0.5, 0.1], [0.0, 0.0]])
    y = change_gain(x, column(-6.0, 20.0, 20.0))
    assert y[0, 0] == pytest.approx(0.5 * 10 ** (-6 / 20))
    assert y[1, 0] == pytest.approx(0.99)
    assert torch.equal(y[2], x[2])


def test_tones_are_bounded_and_not_all_alike():
    torch.manual_seed(0)
    y = draw_tones(_Draw(torch.zeros(64, 1)), AugmentConfig(20480), FS)
    assert y.shape == (64, 20480) and y.isfinite().all() and y.abs().max() < 1
    assert peak_hertz(y).unique().numel() > 32


def test_a_round_tone_that_does_not_glide_has_one_phase_in_every_frame():
    torch.manual_seed(0)
    config = AugmentConfig(20480, tone=(6000.0, 8000.0), pure_chance=1.0, round_chance=1.0)
    y = draw_tones(_Draw(torch.zeros(64, 1)), config, FS)
    frame = FS // 75  # 150 Hz has two periods in it
    end, before = y[:, -4 * frame :], y[:, -5 * frame : -frame]
    is_steady = torch.nn.functional.cosine_similarity(end, before) > 0.999
    assert 15 <= is_steady.sum() <= 44  # the others glide, or are gated


def test_pure_tones_have_one_line_within_their_range():
    torch.manual_seed(0)
    config = AugmentConfig(
        20480, tone=(3000.0, 4000.0), tone_level=(-20.0, -20.0), pure_chance=1.0
    )
    y = draw_tones(_Draw(torch.zeros(64, 1)), config, FS)
    power = torch.fft.rfft(y * torch.hann_window(20480)).abs().square()
    hertz = torch.fft.rfftfreq(20480, 1 / FS)
    near = (hertz > 1200) & (hertz < 9000)  # a glide is up to an octave a second
    assert (power[:, near].sum(1) / power.sum(1)).min() > 0.9
    assert ((peak_hertz(y) > 1600) & (peak_hertz(y) < 7300)).all()
    mixed = draw_tones(_Draw(torch.zeros(64, 1)), AugmentConfig(20480, tone=(3000.0, 4000.0)), FS)
    share = torch.fft.rfft(mixed).abs().square()
    assert (share[:, hertz > 7500].sum(1) / share.sum(1)).max() > 0.05  # these have partials


def test_a_batch_is_changed_by_the_seed_and_keeps_its_type():
    x, augment = 0.1 * torch.randn(16, 12000), Augmentation({"length": 8000}, FS)
    torch.manual_seed(3)
    first = augment(x)
    torch.manual_seed(3)
    assert torch.equal(augment(x), first)
    assert not torch.equal(augment(x), first)
    assert first.shape == (16, 8000) and first.dtype == x.dtype and first.abs().max() <= 1


def test_both_turns_of_a_step_hear_the_same():
    x, augment = 0.1 * torch.randn(4, 8000), Augmentation({"length": 6000, "speed": [1, 1.3]}, FS)
    first = augment.of_batch(x)
    assert augment.of_batch(x) is first
    x.mul_(0.5)  # another batch in the same memory
    second = augment.of_batch(x)
    assert second is not first and augment.of_batch(x.clone()) is not second


def test_with_all_chances_at_zero_only_the_level_changes():
    x = 0.1 * torch.randn(4, 8000)
    y = Augmentation({"length": 8000, "gain": [-6, -6], **OFF}, FS)(x)
    assert torch.allclose(y, x * 10 ** (-6 / 20), atol=1e-6)


def test_chunks_that_are_too_short_say_how_long_they_should_be():
    with pytest.raises(ValueError, match="10000 samples .* at least 10800"):
        Augmentation({"length": 8000}, FS)(torch.zeros(1, 10000))


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "augment_params.length: expected a positive integer, got None"),
        ({"length": 0}, "augment_params.length: expected a positive integer, got 0"),
        ({"length": 9, "pace": 1}, "augment_params: unknown key 'pace'"),
        ({"length": 9, "mix_chance": 2}, "mix_chance: expected 0 to 1, got 2"),
        ({"length": 9, "gain": [3, 1]}, r"gain: expected \[low, high\], got \[3, 1\]"),
        ({"length": 9, "gain": 3}, r"gain: expected \[low, high\], got 3"),
        ({"length": 9, "speed": [0, 1]}, "speed: expected numbers above 0"),
        ({"length": 9, "round_hz": 0}, "round_hz: expected a number above 0"),
    ],
)
def test_a_wrong_setting_is_named(params, message):
    with pytest.raises(ConfigError, match=message) as error:
        Augmentation(params, FS)
    assert "\n" not in str(error.value)


def test_a_model_changes_its_audio_in_training_only():
    model = BSCodec(**tiny_conf(augment_params={"length": 2000}))
    seen = []
    model.training_step._generator_step = lambda model, audio: (
        seen.append(audio.shape[-1]) or (audio.sum(), {})
    )
    model.train()(torch.zeros(2, 3000))
    model.eval()(torch.zeros(2, 3000))
    assert seen == [2000, 3000]
