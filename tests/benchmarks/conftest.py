"""Configs by the published names, but of codecs that build and run in milliseconds."""

import copy

import pytest
import yaml

from tests.bscodec.conftest import tiny_conf

RESIDUAL = {
    "hidden_dim": 16,
    "encdec_n_filters": 2,
    "encdec_n_residual_layers": 1,
    "encdec_lstm": 1,
    "quantizer_n_q": 2,
    "quantizer_bins": 16,
    "quantizer_target_bandwidth": [0.3, 0.6],  # kbit/s: both codebooks at the last
}


@pytest.fixture(scope="session")
def tiny_configs(tmp_path_factory):
    """The folder that stands for ``conf/``."""
    folder = tmp_path_factory.mktemp("conf")
    vq = tiny_conf(
        quantize_choice="band_vq",
        quantize_codebook_dim=16,
        bands=[[0, 500], [500, 2000], [2000, 4000], [4000, 8000], [8000, 12000]],
    )
    dac = {"encdec_activation": "Snake", "codebook_dim": 16}
    encodec = {"encdec_activation": "ELU", "hidden_dim": 512}  # as wide as its codebooks
    configs = {
        "train_BSCodec_band_simvq_3band": ("bscodec", tiny_conf()),
        "train_BSCodec_band_vq_5band": ("bscodec", vq),
        "train_dac": ("dac", {"generator_params": RESIDUAL | dac}),
        "train_encodec": ("encodec", {"generator_params": RESIDUAL | encodec}),
    }
    for name, (codec, conf) in configs.items():
        contents = {"codec": codec, "codec_conf": {"sampling_rate": 24000} | copy.deepcopy(conf)}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(contents))
    return folder


@pytest.fixture
def systems(tiny_configs):
    """All systems by name, built anew: tests move their codebooks."""
    from benchmarks import systems as module

    for build in (module.published, module.packaged, module._residual_generator):
        build.cache_clear()
    return {system.name: system for system in module.catalogue(tiny_configs)}
