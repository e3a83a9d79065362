"""``encode --entropy``: smaller files with the same codes, and one line where that cannot be."""

import json
import os
import sys

import pytest
from safetensors.numpy import save

from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.hub import predictors, resolver
from espnet2.gan_codec.bscodec.hub.resolver import PREDICTOR
from fuzz.predictors import predictor_tensors

from ..experiments import assert_one_error, tree, write_audio


@pytest.fixture
def predictor(pretrained):
    """The tiny packaged model with a predictor."""
    predictors._loaded.cache_clear()
    digest = Codec.from_pretrained(str(pretrained / "bscodec-mini"), "cpu").fingerprint
    path = pretrained / "bscodec-mini" / PREDICTOR
    about = {"kind": "bscodec code predictor 1", "model": digest}
    path.write_bytes(save(predictor_tensors((1024, 64)), about))
    yield path
    path.unlink(missing_ok=True)
    predictors._loaded.cache_clear()


def test_the_codes_are_those_of_a_plain_file(bscodec, predictor):
    write_audio("a.wav", 300000, channels=2)
    bscodec("encode a.wav -o plain.bsc --channels keep")
    done = bscodec("encode a.wav -o coded.bsc --channels keep --entropy")
    assert done.status == 0 and f"{os.path.getsize('coded.bsc')} bytes" in done.out
    codec = Codec.from_pretrained("bscodec-mini", "cpu")
    plain, coded = codec.load("plain.bsc"), codec.load("coded.bsc")
    assert plain == coded and open("coded.bsc", "rb").read(4) == b"BSC\3"
    assert coded.dumps() == open("plain.bsc", "rb").read()
    codec.save(plain, "again.bsc", entropy=True)
    assert open("again.bsc", "rb").read() == open("coded.bsc", "rb").read()
    for name in ("plain", "coded"):
        assert bscodec(f"decode {name}.bsc -o {name}.wav").status == 0
    assert open("plain.wav", "rb").read() == open("coded.wav", "rb").read()


def test_a_second_run_wants_the_same_kind_of_file(bscodec, predictor):
    for name in ("a", "b"):
        write_audio(f"in/{name}.wav")
    assert bscodec("encode in -o out --entropy").status == 0
    assert bscodec("encode in -o out --entropy").status == 0
    refused = bscodec("encode in -o out")
    assert refused.status == 1 and "entropy-coded" in refused.err


def test_damage_is_told_again_of_a_file_that_was_salvaged(bscodec, predictor):
    write_audio("a.wav", 600000)
    bscodec("encode a.wav -o in/ --entropy")
    data = bytearray(open("in/a.bsc", "rb").read())
    data[-20] ^= 1
    open("in/a.bsc", "wb").write(data)
    first = bscodec("decode in -o out --salvage")
    again = bscodec("decode in -o out --salvage")
    assert first.status == again.status == 3, (first.err, again.err)
    assert first.notes == again.notes and "block" in first.notes[0]


def test_info_needs_no_predictor(bscodec, predictor):
    write_audio("a.wav", 240000)
    bscodec("encode a.wav --entropy --bands 1")
    coded = predictor.read_bytes()
    predictor.unlink()
    facts = json.loads(bscodec("info a.bsc --json").out)
    assert facts["entropy_coded_by"] and facts["nominal_bits_per_second"] == 750
    assert facts["payload_bits_per_second"] < 8 * os.path.getsize("a.bsc") / 10
    assert "entropy-coded by the predictor" in bscodec("info a.bsc").out
    predictors._loaded.cache_clear()
    assert_one_error(bscodec("decode a.bsc -o b.wav"), "no code predictor there")
    predictor.write_bytes(coded)


def test_what_cannot_be_is_one_line(bscodec, predictor, pretrained, monkeypatch):
    write_audio("a.wav")
    bscodec("encode a.wav --entropy")
    refused = bscodec("encode a.wav -o b.bsc --entropy --model other")
    assert_one_error(refused, "no code predictor there")
    predictor.write_bytes(save(predictor_tensors((1024, 64)), {"kind": "x"}))
    predictors._loaded.cache_clear()
    assert_one_error(bscodec("decode a.bsc -o b.wav"), "codes.safetensors: no code predictor")
    about = {"kind": "bscodec code predictor 1", "model": "0" * 64}
    predictor.write_bytes(save(predictor_tensors((1024, 64)), about))
    predictors._loaded.cache_clear()
    assert_one_error(bscodec("encode a.wav -o b.bsc --entropy"), "codes of other weights")
    monkeypatch.setitem(sys.modules, "constriction", None)
    predictors._loaded.cache_clear()
    assert_one_error(bscodec("decode a.bsc -o b.wav"), "pip install 'espnet-bscodec[entropy]'")
    assert tree() == ["a.bsc", "a.wav"]


def test_an_experiment_with_a_predictor_alone_has_no_checkpoint(tmp_path):
    (tmp_path / "config.yaml").write_text("codec: bscodec\n")
    (tmp_path / PREDICTOR).write_bytes(b"")
    with pytest.raises(resolver.ModelError, match="no checkpoint there"):
        resolver.find_model(str(tmp_path))
