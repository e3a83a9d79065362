"""The spectral networks: gains and shapes, and the linear path that training begins with."""

import pytest
import torch

from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.model.networks import build_networks
from espnet2.gan_codec.bscodec.model.networks.spectral import (
    GAIN_SPREAD,
    MAX_LOG_GAIN,
    group_sizes,
)

BINS, FRAMES = 6, 20


@pytest.fixture
def make_networks():
    def make(bins=BINS, **changes):
        params = {
            "hidden_dim": 24,
            "bands": [[0, 12000]],
            "filterbank": "mdct",
            "network": "spectral",
            "spectral_channels": 16,
            **changes,
        }
        torch.manual_seed(0)
        return build_networks(GeneratorConfig.from_dict(params, 24000), bins)

    return make


@pytest.mark.parametrize("bins, largest, expected", [(6, 16, [6]), (33, 16, [11, 11, 11])])
def test_groups_are_few_and_nearly_equal(bins, largest, expected):
    assert group_sizes(bins, largest) == expected


@pytest.mark.parametrize("bins", [1, 15, 16, 17, 127, 128])
def test_groups_hold_all_bins(bins):
    sizes = group_sizes(bins, 16)
    assert sum(sizes) == bins
    assert max(sizes) <= 16
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_linear_paths_start_as_inverses_of_one_another(make_networks, stride):
    encoder, decoder = make_networks(spectral_stride=stride)
    features = torch.randn(2, BINS + 1, stride * FRAMES + 1)
    with torch.no_grad():
        back = decoder.linear_path(encoder.linear_path(features))
    # the hop after the last whole frame is in no latent yet
    assert torch.allclose(back[..., :-1], features[..., :-1], atol=1e-5)
    assert back[..., -1].abs().max() == 0


def test_of_a_wide_band_the_linear_path_holds_the_gains_alone(make_networks):
    encoder, decoder = make_networks(bins=40)
    features = torch.randn(1, 43, 2 * FRAMES + 1)
    with torch.no_grad():
        back = decoder.linear_path(encoder.linear_path(features))[..., :-1]
    assert back[:, :40].abs().max() == 0
    assert torch.allclose(back[:, 40:], features[:, 40:, :-1], atol=1e-5)


def test_a_band_too_wide_for_its_latents_still_builds(make_networks):
    encoder, decoder = make_networks(bins=256)
    bins = torch.randn(1, 256, 2 * FRAMES + 1)
    with torch.no_grad():
        assert torch.isfinite(decoder(encoder(bins))).all()


def test_level_moves_the_log_gains_and_nothing_else(make_networks):
    encoder, _ = make_networks(bins=20)
    bins = torch.randn(1, 7, 20)
    quiet, loud = encoder.features(bins), encoder.features(100 * bins)
    assert torch.allclose(quiet[..., :20], loud[..., :20], atol=1e-5)
    step = torch.tensor(100.0).log() / GAIN_SPREAD
    assert torch.allclose(loud[..., 20:] - quiet[..., 20:], step.expand(1, 7, 22), atol=1e-5)


def test_silence_and_the_loudest_input_stay_finite(make_networks):
    encoder, decoder = make_networks()
    for level in (0.0, 1e-30, 1e6):
        bins = torch.full((1, BINS, 2 * FRAMES + 1), level, requires_grad=True)
        y = decoder(encoder(bins))
        y.square().sum().backward()
        assert torch.isfinite(y).all()
        assert torch.isfinite(bins.grad).all()


def test_decoded_gains_are_bounded(make_networks):
    _, decoder = make_networks()
    x, direct = torch.zeros(1, 3, 2 * BINS), torch.zeros(1, 3, BINS + 1)
    x[..., :BINS], direct[..., BINS:] = 1, 1e9
    expected = torch.tensor(MAX_LOG_GAIN).exp()
    assert torch.allclose(decoder.coefficients(x, direct), expected.expand(1, 3, BINS))
