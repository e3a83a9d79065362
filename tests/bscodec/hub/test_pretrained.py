"""The model that comes with the package: complete, small, and at work on real audio."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.demo.clips import SHIPPED
from espnet2.gan_codec.bscodec.hub.resolver import DEFAULT_MODEL, PRETRAINED
from espnet2.gan_codec.bscodec.model.config import GeneratorConfig

FOLDER = PRETRAINED / DEFAULT_MODEL
TRAINING = Path(__file__).parents[3] / "conf" / "train_bscodec_mini.yaml"


@pytest.fixture(scope="module")
def codec():
    return Codec.from_pretrained(DEFAULT_MODEL, device="cpu")


def test_files_and_size():
    assert sorted(path.name for path in FOLDER.iterdir()) == [
        "README.md",
        "codes.safetensors",
        "config.yaml",
        "model.safetensors",
    ]
    assert (FOLDER / "model.safetensors").stat().st_size <= 12_000_000
    assert (FOLDER / "codes.safetensors").stat().st_size <= 5_000_000


def test_config_is_the_one_it_was_trained_with():
    packaged = yaml.safe_load((FOLDER / "config.yaml").read_text())["codec_conf"]
    trained = yaml.safe_load(TRAINING.read_text())["codec_conf"]
    rate = trained["sampling_rate"]
    ours, theirs = (
        GeneratorConfig.from_dict(conf["generator_params"], rate) for conf in (packaged, trained)
    )
    assert ours == theirs


def test_bitrate(codec):
    assert codec.tag == DEFAULT_MODEL
    bits = sum(np.log2(codec.model.codebook_sizes))
    assert bits * codec.sampling_rate / codec.model.hop_length <= 3900


def correlation_of_log_spectra(a, b):
    def log_spectrum(x):
        frames = np.lib.stride_tricks.sliding_window_view(x, 1024)[::256] * np.hanning(1024)
        return np.log(np.abs(np.fft.rfft(frames)) + 1e-3)

    return np.corrcoef(log_spectrum(a).ravel(), log_spectrum(b).ravel())[0, 1]


@pytest.mark.parametrize("name", ["speech_tux_ru", "sound_bus", "music_feelings"])
def test_decoded_audio_resembles_the_original(codec, name):
    audio, rate = soundfile.read(Path(SHIPPED) / f"{name}.flac", dtype="float32")
    encoded = codec.encode(audio, rate)
    decoded = codec.decode(encoded)
    assert decoded.shape == audio.shape and decoded.dtype == np.float32
    assert correlation_of_log_spectra(audio, decoded) > 0.8
    distinct = [len(np.unique(band)) for band in encoded.codes]
    assert min(distinct) > 20, f"codes in use per band: {distinct}"
    assert np.array_equal(codec.encode(audio, rate).codes, encoded.codes)


def test_the_streaming_page_names_its_delay(codec):
    page = (Path(__file__).parents[3] / "docs" / "streaming.md").read_text(encoding="utf-8")
    samples, frames = codec.stream_encoder().lookahead, codec.stream_decoder().lookahead
    ms = 1000 / codec.sampling_rate
    encoder = f"{samples} ({samples * ms:.0f} ms)"
    decoder = f"{frames} ({frames * codec.model.hop_length * ms:.0f} ms)"
    assert f"| `bscodec-mini` | {encoder} | {decoder} |" in page
