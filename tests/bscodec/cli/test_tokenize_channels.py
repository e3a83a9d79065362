"""Which channel becomes tokens, and averages that lose them."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.tokens import coding, read_tokens

from ..experiments import assert_one_error, make_noise


@pytest.fixture
def corpus(workplace):
    """Two stereo files of opposite channels, one of like ones, one mono file."""
    left = make_noise()
    (workplace / "in").mkdir()
    for name, right in {"a": -left, "b": -left, "c": left, "m": None}.items():
        audio = left if right is None else np.stack([left, right], axis=1)
        soundfile.write(f"in/{name}.wav", audio, 24000, subtype="FLOAT")
    return workplace


@pytest.mark.parametrize("long_seconds", [0.1, 120])
def test_averages_that_cancel_are_said_once(bscodec, corpus, monkeypatch, long_seconds):
    monkeypatch.setattr(coding, "LONG_SECONDS", long_seconds)
    result = bscodec("tokenize in -o out --nj 1")
    assert result.status == 0 and len(result.notes) == 2
    assert "in/a.wav: averaging its 2 channels loses everything of" in result.notes[0]
    assert result.notes[1].endswith("averaging loses more than 12 dB of 2 utterances altogether")
    assert "channels" not in json.loads(Path("out/meta.json").read_text())


@pytest.mark.parametrize("long_seconds", [0.1, 120])
def test_one_channel_is_coded_as_by_itself(bscodec, corpus, monkeypatch, long_seconds):
    monkeypatch.setattr(coding, "LONG_SECONDS", long_seconds)
    result = bscodec("tokenize in -o out --nj 1 --channels 1")
    tokens = read_tokens("out")
    assert result.notes == [] and tokens.metadata.channels == 1 and len(tokens) == 4
    assert all(np.array_equal(codes, tokens["m"]) for _, codes in tokens.items())
    assert "4 utterances are there already" in bscodec("tokenize in -o out --channels 1").out
    assert_one_error(bscodec("tokenize in -o out --nj 1"), "channels 1, not mean")


def test_a_channel_that_is_not_there_is_a_skipped_file(bscodec, corpus):
    assert bscodec("tokenize in -o out --nj 1 --channel 2").status == 0
    assert Path("out/skipped.tsv").read_text().endswith("\tthere is no channel 2: it has one\n")
    assert len(read_tokens("out")) == 3


def test_tokens_are_of_one_channel(bscodec, corpus):
    refused = bscodec("tokenize in -o out --channels keep")
    assert_one_error(refused, "keep: tokens are of one channel", status=2)
