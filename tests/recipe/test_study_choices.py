"""The systems of docs/mini_choices.md have the bits of bscodec-mini and about its size."""

import math
from pathlib import Path

import pytest
import yaml

from espnet2.gan_codec.bscodec import BSCodec

ROOT = Path(__file__).resolve().parents[2]
CONF, STUDY = ROOT / "conf", ROOT / "egs2/bscodec/codec1/study/conf"
CHOICES = sorted(path.stem for path in (STUDY / "choices").glob("*.yaml"))


def params(path):
    conf = yaml.safe_load(path.read_text())
    return conf.get("codec_conf", conf)["generator_params"]


def test_the_chosen_is_bscodec_mini_but_for_the_highest_band_s_codes():
    chosen = params(STUDY / "choices/frames_60_low.yaml")
    mini = params(CONF / "train_bscodec_mini.yaml")
    assert mini["quantize_codebook_size"] == [8192, 8192, 8192, 8192, 4096]
    mini["quantize_codebook_size"] = chosen["quantize_codebook_size"]
    assert BSCodec(generator_params=chosen).config == BSCodec(generator_params=mini).config


@pytest.mark.parametrize("name", CHOICES)
def test_all_have_its_bits_and_about_its_size(name):
    codec = BSCodec(generator_params=params(STUDY / f"choices/{name}.yaml"))
    frames = codec.sampling_rate / codec.hop_length
    assert sum(map(math.log2, codec.codebook_sizes)) * frames == 3900
    size = sum(p.numel() for p in codec.generator.parameters())
    assert size == pytest.approx(5.6e6, rel=0.06)


@pytest.mark.parametrize(
    "page", ["README.md", "espnet2/gan_codec/bscodec/hub/pretrained/bscodec-mini/README.md"]
)
def test_readme_and_card_name_its_edges(page):
    bands = params(CONF / "train_bscodec_mini.yaml")["bands"]
    edges = "-".join(f"{edge:g}" for edge in [bands[0][0], *(high for _, high in bands)])
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    assert any(edges in line and line.startswith(("| bands", "| `train_")) for line in lines)
