"""Which model codes and decodes a file, and what is said about both."""

import json
import os
import shutil
from pathlib import Path

import pytest

from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.hub import resolver

from ..experiments import assert_one_error, tree, write_audio, write_experiment


def test_file_is_decoded_by_the_packaged_model_it_names(bscodec):
    write_audio("a.wav")
    assert bscodec("encode a.wav -o a.bsc --model other").status == 0
    assert EncodedAudio.load("a.bsc").model == "other"
    assert bscodec("decode a.bsc -o b.wav").status == 0
    refused = bscodec("decode a.bsc -o c.wav --model bscodec-mini")
    assert_one_error(refused, "a.bsc: made by the model 'other' with fingerprint")


def test_model_of_one_s_own_has_to_be_given(bscodec, workplace):
    write_experiment(workplace / "exp" / "codec_mine_raw_fs24000", seed=2)
    write_audio("a.wav")
    checkpoint = "exp/codec_mine_raw_fs24000/valid.mel_loss.best.pth"
    assert bscodec(f"encode a.wav -o a.bsc --model {checkpoint}").status == 0
    assert EncodedAudio.load("a.bsc").model == "mine"
    assert_one_error(
        bscodec("decode a.bsc -o b.wav"), "made by the model 'mine': give that with --model"
    )
    decoded = bscodec("decode a.bsc -o b.wav --model exp")
    assert decoded.status == 0
    assert decoded.notes[0] == f"bscodec: note: exp: taking {checkpoint}"


def test_files_of_several_models_are_decoded_in_one_run(bscodec):
    write_audio("a.wav")
    bscodec("encode a.wav -o in/")
    bscodec("encode a.wav -o in/more/ --model other")
    assert bscodec("decode in -o out").status == 0
    assert tree("out") == ["a.wav", "more/a.wav"]


def test_model_that_cannot_be_had_ends_the_run_before_it_begins(bscodec):
    write_audio("a.wav")
    for command in ("encode a.wav -o out/", "decode a.wav -o out/"):
        assert_one_error(bscodec(f"{command} --model nothing"), "no model 'nothing'")
    assert tree() == ["a.wav"]


def test_damaged_packaged_model_is_one_line(bscodec, pretrained, monkeypatch, workplace):
    shutil.copytree(pretrained, workplace / "pretrained")
    monkeypatch.setattr(resolver, "PRETRAINED", workplace / "pretrained")
    os.truncate(workplace / "pretrained" / "other" / "model.safetensors", 1000)
    assert_one_error(bscodec("models"), "other/model.safetensors: damaged")
    write_audio("a.wav")
    refused = bscodec("encode a.wav -o a.bsc --model other")
    assert_one_error(refused, "other/model.safetensors: damaged")


def test_models_lists_packaged_and_published(bscodec):
    lines = bscodec("models").out.splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["bscodec-mini", "other"]
    cards = json.loads(bscodec("models --json").out)
    write_audio("a.wav")
    bscodec("encode a.wav -o a.bsc")
    assert cards[0]["fingerprint"] == EncodedAudio.load("a.bsc").fingerprint
    assert cards[0]["bitrate"] == 1200 and cards[4]["tag"] == "BSCodec_band_simvq_2band"


def test_files_of_an_older_version_are_decoded_by_it(bscodec, pretrained, monkeypatch, workplace):
    write_audio("a.wav")
    bscodec("encode a.wav -o old.bsc")
    bscodec("decode old.bsc -o old.wav")
    newer = workplace / "pretrained"
    shutil.copytree(pretrained / "bscodec-mini", newer / "bscodec-mini@1")
    shutil.copytree(pretrained / "other", newer / "bscodec-mini")
    monkeypatch.setattr(resolver, "PRETRAINED", newer)
    bscodec("encode a.wav -o new.bsc")
    bscodec("encode a.wav -o again.bsc --model bscodec-mini@1")
    names = [line.split()[0] for line in bscodec("models").out.splitlines()]
    assert names[1:3] == ["bscodec-mini", "bscodec-mini@1"]
    assert Path("again.bsc").read_bytes() == Path("old.bsc").read_bytes()
    assert Path("new.bsc").read_bytes() != Path("old.bsc").read_bytes()
    assert bscodec("decode old.bsc new.bsc -o out").status == 0
    assert Path("out/old.wav").read_bytes() == Path("old.wav").read_bytes()
    assert bscodec("decode old.bsc -o out --force --model bscodec-mini").status == 0
    assert Path("out/old.wav").read_bytes() == Path("old.wav").read_bytes()
    refused = bscodec("decode new.bsc -o no.wav --model bscodec-mini@1")
    assert_one_error(refused, "made by the model 'bscodec-mini' with fingerprint")


def test_info_gives_the_real_rates(bscodec):
    write_audio("a.wav", 240000)
    bscodec("encode a.wav -o a.bsc")
    facts = json.loads(bscodec("info a.bsc --json").out)
    size = os.path.getsize("a.bsc")
    assert facts["file_bytes"] == size and facts["duration"] == 10
    assert facts["payload_bits_per_second"] == facts["nominal_bits_per_second"] == 1200
    assert facts["file_bits_per_second"] == size * 8 / 10
    assert (facts["num_samples"], facts["num_frames"], facts["num_blocks"]) == (240000, 750, 1)
    assert facts["bands"] == [[0, 1200], [1200, 12000]] and facts["bits_per_index"] == [10, 6]
    text = bscodec("info a.bsc").out
    for part in (
        "bscodec-mini",
        "10.000 s",
        "1200.0 bit/s",
        f"{size} bytes",
        "0-1200 Hz (10 bits)",
    ):
        assert part in text


def test_info_counts_a_last_frame_that_is_not_full(bscodec):
    write_audio("a.wav", 24001)
    bscodec("encode a.wav -o a.bsc")
    facts = json.loads(bscodec("info a.bsc --json").out)
    assert facts["nominal_bits_per_second"] == 1200
    assert facts["payload_bits_per_second"] == pytest.approx(76 * 16 * 24000 / 24001)


def test_info_and_decode_name_damage(bscodec):
    write_audio("a.wav", 24000 * 12)
    bscodec("encode a.wav -o a.bsc")
    data = bytearray(open("a.bsc", "rb").read())
    data[-10] ^= 1
    open("a.bsc", "wb").write(data)
    message = "a.bsc: block 2 of 2 (10.0-12.0 s) is damaged"
    assert_one_error(bscodec("info a.bsc"), message)
    assert_one_error(bscodec("decode a.bsc -o b.wav"), message)
    assert tree() == ["a.bsc", "a.wav"]
