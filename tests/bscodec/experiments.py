"""What tests of files and commands share: experiment folders, signals, and looks at outcomes."""

import os

import numpy as np
import pytest
import soundfile
import torch
import yaml

from .conftest import tiny_conf


def write_experiment(folder, network="spectral", checkpoint="valid.mel_loss.best.pth", seed=0):
    """Make an experiment folder as training leaves it; return its model's state dict."""
    from espnet2.gan_codec.bscodec import BSCodec

    torch.manual_seed(seed)
    conf = tiny_conf(network, use_mel_loss=False, use_spectral_loss=True)
    model = BSCodec(**conf).eval()
    folder.mkdir(parents=True, exist_ok=True)
    write_config(folder, codec_conf=conf)
    weights = {f"codec.{name}": value for name, value in model.state_dict().items()}
    torch.save(weights, folder / checkpoint)
    return model.state_dict()


def write_model(folder, conf):
    """A model with codebooks as if trained."""
    from espnet2.gan_codec.bscodec import BSCodec

    weights = BSCodec(**conf).state_dict()
    for name, value in weights.items():
        if name.endswith("_codebook.embed"):
            value.normal_(std=0.1)
        elif name.endswith("_codebook.inited"):
            value.fill_(1)
    folder.mkdir()
    write_config(folder, codec_conf=conf)
    torch.save({f"codec.{k}": v for k, v in weights.items()}, folder / "valid.mel_loss.best.pth")


def write_config(folder, **contents):
    contents = {"codec": "bscodec", "max_epoch": 3, **contents}
    (folder / "config.yaml").write_text(yaml.safe_dump(contents))


def make_noise(num_samples=5000, channels=None, seed=0):
    shape = num_samples if channels is None else (num_samples, channels)
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape).astype(np.float32)


def write_audio(path, num_samples=5000, rate=24000, channels=None):
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    soundfile.write(path, make_noise(num_samples, channels), rate)


def tree(folder="."):
    """Names of all files below ``folder``."""
    found = (os.path.join(at, name) for at, _, names in os.walk(folder) for name in names)
    return sorted(os.path.relpath(path, folder) for path in found)


def assert_one_error(result, message, status=1):
    """The command said one line, an error with ``message`` in it, and ended with ``status``."""
    assert result.status == status
    assert len(result.err.splitlines()) == len(result.errors) == 1, result.err
    assert message in result.err


def rewrite(experiment, change):
    """Put the checkpoint through ``change``."""
    path = experiment / "valid.mel_loss.best.pth"
    torch.save(change(torch.load(path, weights_only=True)), path)


def assert_refused(name, message):
    """Loading the model ``name`` fails in one line that matches ``message``."""
    from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
    from espnet2.gan_codec.bscodec.hub.error import ModelError

    with pytest.raises(ModelError, match=message) as error:
        load_model(str(name), "cpu")
    assert "\n" not in str(error.value) and len(str(error.value)) < 600
