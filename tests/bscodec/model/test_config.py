"""Every wrong configuration is refused in one line that names its key."""

import pytest

from espnet2.gan_codec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.model.config import ConfigError
from tests.bscodec.conftest import tiny_conf

WRONG_GENERATOR = [
    ("bands", [[0, 2000], [3000, 12000]], "gap"),
    ("bands", [[0, 2000], [1000, 12000]], "overlap"),
    ("bands", [[0, 2000], [2000, 13000]], "high <= 12000 Hz"),
    ("bands", [[0, 2000], [2000, 11000]], "ends at 12000 Hz"),
    ("bands", [[100, 12000]], "gap"),
    ("bands", [[0, 0], [0, 12000]], "low < high"),
    ("bands", [], "a list of"),
    ("bands", [[0, "x"]], "number"),
    ("bands", [0, 12000], "[low, high]"),
    ("quantize_codebook_size", 0, "positive integer"),
    ("quantize_codebook_size", 1, "2 to 16777216"),
    ("quantize_codebook_size", [64, 64], "3 sizes"),
    ("quantize_codebook_size", 64.0, "positive integer"),
    ("quantize_choice", "pq", "band_vq, band_simvq, rvq"),
    ("quantize_n_q", 0, "positive integer"),
    ("quantize_dead_code_threshold", -1, "number >= 0"),
    ("hidden_dim", -1, "positive integer"),
    ("encdec_lstm", -1, ">= 0"),
    ("encdec_causal", "no", "true or false"),
    ("encdec_ratios", [8, 0], "positive integer"),
    ("filterbank", "qmf", "stft, mdct"),
    ("network", "spectral", "seanet with filterbank stft"),
    ("encdec_channels", 2, "1"),
    ("decoder_trim_right_ratio", 0.5, "1.0"),
    ("colour", "blue", "unknown key 'colour'"),
]


@pytest.mark.parametrize("key, value, expected", WRONG_GENERATOR)
def test_wrong_generator_params(key, value, expected):
    with pytest.raises(ConfigError) as error:
        BSCodec(**tiny_conf(**{"generator_params": {"quantize_codebook_size": 64, key: value}}))
    message = str(error.value)
    assert expected in message and key in message and "\n" not in message


@pytest.mark.parametrize(
    "conf, expected",
    [
        ({"colour": 1}, "unknown key 'colour'"),
        ({"sampling_rate": 0}, "sampling_rate"),
        ({"lambda_mel": -1}, "lambda_mel"),
        ({"lambda_mel": "45"}, "lambda_mel"),
        ({"use_mel_loss": 1}, "use_mel_loss"),
        ({"use_mel_loss": False}, "use_spectral_loss"),
        ({"mel_loss_params": {"colour": 1}}, "mel_loss_params"),
        ({"generator_adv_loss_params": {"loss_type": "x"}}, "generator_adv_loss_params"),
        ({"discriminator_params": {"colour": 1}}, "discriminator_params"),
        (
            {"discriminator_params": {"msstft_discriminator_params": {"colour": 1}}},
            "msstft_discriminator_params: unknown key 'colour'",
        ),
        (
            {"discriminator_params": {"msmpmb_discriminator_params": {"colour": 1}}},
            "msmpmb_discriminator_params: unknown key 'colour'",
        ),
        ({"generator_params": 3}, "generator_params"),
    ],
)
def test_wrong_codec_conf(conf, expected):
    with pytest.raises(ConfigError) as error:
        BSCodec(**{**tiny_conf(), **conf})
    assert expected in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "key, value, expected",
    [
        ("bands", [[0, 1210], [1210, 12000]], "multiples of 75 Hz"),
        ("spectral_kernel_size", 4, "odd"),
        ("spectral_stride", 0, "positive"),
        ("quantize_follow_rate", 1.0, "below 1"),
    ],
)
def test_wrong_spectral_params(key, value, expected):
    with pytest.raises(ConfigError, match=expected):
        BSCodec(**tiny_conf("spectral", **{key: value}))


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, "bands: expected one band with rvq"),
        ({"bands": [[0, 12000]], "quantize_codebook_size": [64] * 3}, "2 sizes, one a stage"),
    ],
)
def test_wrong_residual_quantizer(changes, expected):
    with pytest.raises(ConfigError, match=expected):
        BSCodec(**tiny_conf(quantize_choice="rvq", quantize_n_q=2, **changes))


def test_configuration_is_not_changed():
    conf = tiny_conf()
    before = repr(conf)
    BSCodec(**conf)
    assert repr(conf) == before
