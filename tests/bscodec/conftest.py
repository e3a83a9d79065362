"""Small models and the golden fixtures, shared by the codec's tests."""

import copy
import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

GOLDEN = Path(__file__).parent.parent / "golden"

TINY_SEANET = {
    "hidden_dim": 16,
    "bands": [[0, 2000], [2000, 4000], [4000, 12000]],
    "encdec_n_filters": 2,
    "encdec_n_residual_layers": 1,
    "encdec_lstm": 1,
    "quantize_choice": "band_simvq",
    "quantize_codebook_size": 64,
    "quantize_codebook_dim": 8,
}
TINY_SPECTRAL = {
    "hidden_dim": 16,
    "bands": [[0, 1200], [1200, 12000]],
    "filterbank": "mdct",
    "network": "spectral",
    "spectral_channels": 8,
    "spectral_blocks": 1,
    "quantize_codebook_size": [1024, 64],
    "quantize_codebook_dim": 8,
}
LIGHT = {"msstft_discriminator_params": {"filters": 2, "n_ffts": [256], "hop_lengths": [64]}}
LIGHT["msstft_discriminator_params"]["win_lengths"] = [256]


def tiny_conf(network="seanet", **changes):
    """``codec_conf`` of a codec that builds and runs in milliseconds."""
    params = copy.deepcopy(TINY_SPECTRAL if network == "spectral" else TINY_SEANET)
    conf = {"generator_params": params, "discriminator_params": copy.deepcopy(LIGHT)}
    of_the_model = ("inference_precision", "use_", "lambda_", "cache_", "spectral_loss", "augment")
    for key, value in changes.items():
        if key in conf or key.startswith(of_the_model):
            conf[key] = value
        else:
            params[key] = value
    return conf


@pytest.fixture
def make_codec():
    """Build a seeded tiny codec in eval mode."""
    from espnet2.gan_codec.bscodec import BSCodec

    def make(network="seanet", seed=0, **changes):
        torch.manual_seed(seed)
        return BSCodec(**tiny_conf(network, **changes)).eval()

    return make


@pytest.fixture(scope="session")
def codecs(tmp_path_factory):
    """A codec of each network, loaded as a user would."""
    from espnet2.gan_codec.bscodec import Codec

    from .experiments import write_experiment

    folder = tmp_path_factory.mktemp("codecs")
    for network in ("seanet", "spectral"):
        write_experiment(folder / network, network)
    return {name: Codec.from_pretrained(str(folder / name), "cpu") for name in os.listdir(folder)}


@pytest.fixture
def codec(codecs):
    """The spectral one."""
    return codecs["spectral"]


class Golden:
    """One golden fixture: config, arrays and the codec with its weights loaded."""

    def __init__(self, name):
        from espnet2.gan_codec.bscodec import BSCodec

        facts = json.loads((GOLDEN / f"{name}.json").read_text())
        arrays = np.load(GOLDEN / f"{name}.npz", allow_pickle=False)
        self.shapes = facts["state_dict_shapes"]
        self.losses = facts["eval_losses"]
        self.eval_samples = facts["eval_samples"]
        self.x, self.subbands, self.latents, self.codes, self.y = (
            torch.from_numpy(arrays[k]) for k in ("x", "subbands", "latents", "codes", "y")
        )
        self.state = {
            k[3:]: torch.from_numpy(arrays[k]) for k in arrays.files if k.startswith("sd/")
        }
        self.codec = BSCodec(**facts["codec_conf"]).eval()
        # one fixture holds the generator alone
        own = self.codec.state_dict()
        missing = {k: v for k, v in own.items() if k.startswith("discriminator.")}
        self.codec.load_state_dict({**missing, **self.state}, strict=True)


@pytest.fixture(scope="session", params=["simvq_3band", "vq_5band"])
def golden(request):
    return Golden(request.param)


def close(a, b, tolerance):
    return (a - b).norm() <= tolerance * b.norm() + 1e-9


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}
