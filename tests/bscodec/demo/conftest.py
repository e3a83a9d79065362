"""A tiny random model and clips for it."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

CODEC_CONF = {
    "sampling_rate": 24000,
    "generator_params": {
        "hidden_dim": 8,
        "bands": [[0, 3000], [3000, 12000]],
        "filterbank": "mdct",
        "network": "spectral",
        "spectral_channels": 8,
        "spectral_blocks": 1,
        "quantize_codebook_size": 16,
        "quantize_codebook_dim": 4,
    },
    "use_mel_loss": False,
    "use_spectral_loss": True,
    "discriminator_params": {"msstft_discriminator_params": {"filters": 2}},
}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """An experiment folder with random weights."""
    from espnet2.gan_codec.bscodec import BSCodec

    folder = tmp_path_factory.mktemp("exp") / "tiny"
    folder.mkdir()
    torch.manual_seed(0)
    weights = {f"codec.{name}": x for name, x in BSCodec(**CODEC_CONF).state_dict().items()}
    torch.save(weights, folder / "1epoch.pth")
    config = {"codec": "bscodec", "codec_conf": CODEC_CONF}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory) -> Path:
    """Two short clips; the names and the licence try to break out of the page."""
    folder = tmp_path_factory.mktemp("clips")
    noise = 0.1 * np.random.default_rng(0).standard_normal(9000)
    tone = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(30000) / 44100)
    soundfile.write(folder / "speech_a&b <i>.flac", noise, 24000)
    soundfile.write(folder / "music_tone.wav", np.stack([tone, tone], axis=1), 44100)
    rows = ["clip\tlicence\tattribution\tsource", "music_tone\tCC0-1.0\t<b>A</b> & B\there"]
    (folder / "licences.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def demo(tiny_model, clips_folder, tmp_path_factory) -> Path:
    """The folder that ``bscodec demo`` has filled."""
    from espnet2.bin.bscodec import main

    out = tmp_path_factory.mktemp("demo") / "new" / "out"
    arguments = ["--model", str(tiny_model), "--clips", str(clips_folder), "--device", "cpu"]
    assert main(["demo", "--out", str(out), *arguments]) == 0
    return out
