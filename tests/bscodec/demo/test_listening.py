"""One signal coded to be listened to, and its page."""

import dataclasses

import numpy as np
import pytest

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.demo import listening
from espnet2.gan_codec.bscodec.demo.clips import DemoError
from tests.page import Page


@pytest.fixture(scope="module")
def codec(tiny_model):
    return Codec.from_pretrained(str(tiny_model), device="cpu")


@pytest.fixture(scope="module")
def heard(codec, clips_folder):
    return listening.code(codec, clips_folder / "music_tone.wav", 60)


def test_the_file_is_the_command_s_and_bands_sum_to_what_is_decoded(
    codec, heard, clips_folder, tiny_model, tmp_path
):
    out = tmp_path / "a.bsc"
    command = ["encode", str(clips_folder / "music_tone.wav"), "-o", str(out)]
    assert main([*command, "--model", str(tiny_model)]) == 0
    assert heard.file == out.read_bytes()
    decoded = codec.decode(heard.encoded)
    assert len(heard.original) == len(decoded) == heard.bands.shape[1]
    np.testing.assert_allclose(heard.mix([1, 0]), decoded, atol=1e-5)
    np.testing.assert_array_equal(heard.mix([1]), heard.bands[1])
    assert not heard.mix([]).any() and heard.mix([0]).any()


def test_a_coded_file_sounds_as_it_did(codec, heard, tmp_path):
    (tmp_path / "b.BSC").write_bytes(heard.file)
    again = listening.code(codec, tmp_path / "b.BSC", 60)
    np.testing.assert_array_equal(again.bands, heard.bands)
    assert again.original is None and again.encode_seconds is None and again.file == heard.file


def test_what_is_too_long_or_has_channels_is_one_line(codec, clips_folder, heard, tmp_path):
    with pytest.raises(DemoError, match=r"music_tone.wav: 0\.7 s long, expected at most 0\.5 s"):
        listening.code(codec, clips_folder / "music_tone.wav", 0.5)
    (tmp_path / "b.bsc").write_bytes(heard.file)
    with pytest.raises(DemoError, match=r"b.bsc: 0\.7 s long"):
        listening.code(codec, tmp_path / "b.bsc", 0.5)
    encoded = codec.encode(np.zeros((900, 2), np.float32), 24000, channels="keep")
    codec.save(encoded, tmp_path / "two.bsc")
    with pytest.raises(DemoError, match="two.bsc: has 2 channels, expected one"):
        listening.code(codec, tmp_path / "two.bsc", 60)


def test_the_page_has_all_sides_and_offers_both_files(codec, heard):
    page = Page(listening.page(codec, heard, [0]))
    assert [figure["class"] for figure in page.all("figure")] == [
        "original",
        "decoded",
        "difference",
    ]
    links = {link["download"]: link["href"] for link in page.all("a")}
    assert set(links) == {"music_tone.bsc", "music_tone.wav"}
    assert all(address.startswith("data:") for address in links.values())
    assert len(page.all("img")) == 4
    alone = dataclasses.replace(heard, original=None, encode_seconds=None)
    assert [f["class"] for f in Page(listening.page(codec, alone, [0, 1])).all("figure")] == [
        "decoded"
    ]


def test_a_muted_band_changes_the_picture(codec, heard):
    both, low = (Page(listening.page(codec, heard, bands)).all("img") for bands in ([0, 1], [0]))
    assert both[0] == low[0] and both[1]["src"] != low[1]["src"] and both[3] == low[3]


def test_names_cannot_break_out_of_the_page(codec, heard):
    wild = dataclasses.replace(heard, name='<script>"&')
    assert '<script>"' not in listening.page(codec, wild, [0])
