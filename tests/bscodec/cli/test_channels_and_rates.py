"""``--channels``, ``--no-keep-rate`` and ``--rate`` on the command line."""

import json
import os

import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio

from ..experiments import assert_one_error, make_noise, tree, write_audio


def write_opposite(path):
    audio = make_noise(5001)
    soundfile.write(path, np.stack([audio, -audio], axis=1), 24000, subtype="FLOAT")
    soundfile.write("left.wav", audio, 24000, subtype="FLOAT")


def test_opposite_channels_are_said_to_cancel_in_one_note(bscodec):
    write_opposite("a.wav")
    result = bscodec("encode a.wav")
    assert result.status == 0 and len(result.notes) == 2
    assert result.notes[0].startswith("bscodec: note: a.wav: downmixed from 2 channels to one")
    assert result.notes[1] == (
        "bscodec: note: a.wav: averaging its 2 channels loses everything of channel 1, since they "
        "cancel or the others are quiet: --channels 1 takes that one alone, --channels keep codes "
        "all"
    )
    for option in ("--channels 1", "--channel 1"):
        chosen = bscodec(f"encode a.wav --force {option}")
        assert chosen.notes == [
            "bscodec: note: a.wav: channel 1 taken of 2 (others like it: not said again)"
        ]
    bscodec("encode left.wav")
    assert open("a.bsc", "rb").read() == open("left.bsc", "rb").read()


def test_kept_channels_come_back(bscodec):
    write_opposite("a.wav")
    encoded = bscodec("encode a.wav --channels keep")
    assert (encoded.status, encoded.err) == (0, "") and "2.40 kbit/s" in encoded.out
    assert bscodec("decode a.bsc -o b.wav --float").status == 0
    bscodec("encode left.wav")
    bscodec("decode left.bsc -o c.wav --float")
    both, left = (soundfile.read(f"{name}.wav", dtype="float32")[0] for name in "bc")
    assert both.shape == (5001, 2) and np.array_equal(both[:, 0], left)
    assert bscodec("decode a.bsc -o d.flac").status == 0
    assert soundfile.info("d.flac").channels == 2


def test_info_shows_channels_and_the_original(bscodec):
    write_audio("a.wav", 44101, 44100, channels=3)
    bscodec("encode a.wav --channels keep")
    facts = json.loads(bscodec("info a.bsc --json").out)
    assert (facts["num_channels"], facts["nominal_bits_per_second"]) == (3, 3600)
    assert (facts["original_rate"], facts["original_samples"]) == (44100, 44101)
    assert "24001 samples at 24000 Hz, from 44101 at 44100 Hz, 3 channels" in (
        bscodec("info a.bsc").out
    )
    bscodec("encode a.wav -o b.bsc --channels 3 --no-keep-rate")
    facts = json.loads(bscodec("info b.bsc --json").out)
    assert (facts["num_channels"], facts["original_rate"], facts["original_samples"]) == (
        1,
        None,
        None,
    )
    assert "24001 samples at 24000 Hz, 1 channel\n" in bscodec("info b.bsc").out


@pytest.mark.parametrize(
    ("option", "message", "status"),
    [
        ("--channels 3", "a.wav: there is no channel 3: it has 2", 1),
        ("--channels 0", "0: expected mean, keep, or a number from 1", 2),
        ("--channels left", "left: expected mean, keep, or a number from 1", 2),
    ],
)
def test_channels_that_are_not_there_are_refused(bscodec, option, message, status):
    write_audio("a.wav", channels=2)
    result = bscodec(f"encode a.wav {option}")
    assert result.status == status and result.errors and message in result.errors[0]
    assert tree() == ["a.wav"]


def test_flac_holds_no_more_than_eight_channels(bscodec):
    write_audio("a.wav", 1000, channels=9)
    assert bscodec("encode a.wav --channels keep").status == 0
    assert_one_error(
        bscodec("decode a.bsc -o b.flac"), "9 channels: a .flac file holds up to 8, a .wav"
    )
    assert bscodec("decode a.bsc -o b.wav").status == 0
    assert soundfile.info("b.wav").channels == 9 and "b.flac" not in tree()


def test_other_rates_by_number_and_by_memory(bscodec):
    write_audio("a.wav", 44101, 44100)
    bscodec("encode a.wav --no-keep-rate")
    bscodec("encode a.wav -o kept.bsc")
    plain, kept = EncodedAudio.load("a.bsc"), EncodedAudio.load("kept.bsc")
    assert np.array_equal(plain.codes, kept.codes)
    assert os.path.getsize("kept.bsc") == os.path.getsize("a.bsc") + 9
    assert bscodec("decode a.bsc -o b.wav --rate 16000").status == 0
    assert bscodec("decode kept.bsc -o c.flac --rate original").status == 0
    found = [soundfile.info(name) for name in ("b.wav", "c.flac")]
    assert [(f.samplerate, f.frames) for f in found] == [(16000, 16001), (44100, 44101)]
    assert bscodec("decode a.bsc -o e.wav --rate original").status == 0
    assert soundfile.info("e.wav").samplerate == 24000  # a file that keeps no other rate
    for rate in ("0", "-1", "1.5", "best"):
        refused = bscodec(f"decode a.bsc -o d.wav --rate {rate}")
        assert refused.status == 2 and "d.wav" not in tree()


def test_a_second_run_of_other_channels_is_no_continuation(bscodec):
    option = "--channels keep"
    write_audio("in/a.wav", rate=16000, channels=2)
    bscodec("encode in -o bsc")
    message = "bsc/a.bsc: is there already, but with other channels"
    assert_one_error(bscodec(f"encode in -o bsc {option}"), message)
    assert bscodec(f"encode in -o bsc {option} --force").status == 0
    assert "1 already there" in bscodec(f"encode in -o bsc {option}").out
    assert_one_error(bscodec("encode in -o bsc"), message)
    bscodec("decode bsc -o wav")
    assert "1 already there" in bscodec("decode bsc -o wav").out
    for rate, status in (("original", 1), ("24000", 0)):
        assert bscodec(f"decode bsc -o wav --rate {rate}").status == status
    assert bscodec("decode bsc -o wav --rate original --force").status == 0
    assert soundfile.info("wav/a.wav").samplerate == 16000
