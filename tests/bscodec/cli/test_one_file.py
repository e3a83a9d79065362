"""One file to one file, and back."""

import os

import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio

from ..experiments import assert_one_error, tree, write_audio


def test_file_to_file_and_back(bscodec):
    write_audio("a.flac", 5001)
    encoded = bscodec("encode a.flac -o a.bsc")
    assert (encoded.status, encoded.err) == (0, "")
    assert (
        encoded.out == f"a.flac -> a.bsc: 0.21 s, 1.20 kbit/s, {os.path.getsize('a.bsc')} bytes\n"
    )
    decoded = bscodec("decode a.bsc -o b.wav")
    assert decoded.status == 0 and decoded.out == "a.bsc -> b.wav: 0.21 s\n"
    information = soundfile.info("b.wav")
    assert (information.frames, information.samplerate, information.channels) == (5001, 24000, 1)
    assert information.subtype == "PCM_16" and tree() == ["a.bsc", "a.flac", "b.wav"]


@pytest.mark.parametrize("output", ["out/", "out"])
def test_one_file_into_a_folder_keeps_its_stem(bscodec, output):
    write_audio("a.b.flac")
    if output == "out":
        os.mkdir("out")
    assert bscodec(f"encode a.b.flac -o {output}").status == 0
    assert bscodec(f"decode out/a.b.bsc -o {output}").status == 0
    assert tree("out") == ["a.b.bsc", "a.b.wav"]


def test_flac_and_float_outputs(bscodec):
    write_audio("a.wav")
    bscodec("encode a.wav -o a.bsc")
    assert bscodec("decode a.bsc -o b.flac").status == 0
    assert bscodec("decode a.bsc -o c.wav --float").status == 0
    assert soundfile.info("b.flac").format == "FLAC"
    assert soundfile.info("c.wav").subtype == "FLOAT"
    assert_one_error(bscodec("decode a.bsc -o d.flac --float"), "only a .wav file can hold floats")


@pytest.mark.parametrize("option", ["--bands 1", "--max-hz 1200", "--max-hz 5000.5"])
def test_lowest_bands_can_be_stored_or_played(bscodec, option):
    write_audio("a.wav")
    bscodec("encode a.wav -o all.bsc")
    assert bscodec(f"encode a.wav -o low.bsc {option}").status == 0
    assert EncodedAudio.load("low.bsc") == EncodedAudio.load("all.bsc").lowest(1)
    assert bscodec("decode low.bsc -o low.wav").status == 0
    assert bscodec(f"decode all.bsc -o part.wav {option}").status == 0
    assert bscodec("decode all.bsc -o all.wav").status == 0
    low, part, whole = (soundfile.read(f"{name}.wav")[0] for name in ("low", "part", "all"))
    assert np.array_equal(low, part) and not np.array_equal(low, whole)


def test_existing_output_is_refused_without_force(bscodec):
    write_audio("a.wav")
    bscodec("encode a.wav -o a.bsc")
    before = os.stat("a.bsc").st_ino
    refused = bscodec("encode a.wav -o a.bsc")
    assert_one_error(refused, "a.bsc: is there already (--force overwrites)")
    assert os.stat("a.bsc").st_ino == before
    assert bscodec("encode a.wav -o a.bsc --force").status == 0
    assert os.stat("a.bsc").st_ino != before


def test_conversions_and_clipping_are_said(bscodec, monkeypatch):
    write_audio("a.wav", 44100, 44100, channels=2)
    encoded = bscodec("encode a.wav -o a.bsc")
    assert encoded.notes == [
        "bscodec: note: a.wav: resampled from 44100 to 24000 Hz and downmixed from 2 channels "
        "to one (others like it: not said again)"
    ]
    assert EncodedAudio.load("a.bsc").num_samples == 24000

    from espnet2.gan_codec.bscodec.codec import Codec

    loud = [np.full(24000, 1.5, np.float32)]
    monkeypatch.setattr(Codec, "decode_blocks", lambda self, blocks, num_samples: iter(loud))
    decoded = bscodec("decode a.bsc -o b.wav")
    assert decoded.notes == [
        "bscodec: note: b.wav: 24000 samples clipped at full scale (peak 1.50); --float keeps them"
    ]
    assert bscodec("decode a.bsc -o c.wav --float").notes == []
