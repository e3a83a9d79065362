"""``--precision`` of the commands, and what says no to it."""

import json
from pathlib import Path

import pytest
import torch

from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.inference import backend, half_precision
from espnet2.gan_codec.bscodec.tokens import read_tokens

from ..experiments import assert_one_error, make_noise, write_audio, write_experiment

CPU = torch.device("cpu")


@pytest.fixture
def units(monkeypatch):
    """Set whether the processor has units for bfloat16; it computes it without, if slowly."""

    def set_units(there):
        for module in (backend, half_precision):
            monkeypatch.setattr(module, "has_bf16_units", lambda device: there)

    set_units(True)
    return set_units


def test_files_of_either_precision_are_decoded_by_both(bscodec, workplace, units):
    write_audio("a.wav", 24000)
    assert bscodec("encode a.wav -o half.bsc --precision bf16").status == 0
    assert bscodec("encode a.wav -o single.bsc").status == 0
    for name in ("half", "single"):
        for precision in ("bf16", "float32"):
            assert (
                bscodec(
                    f"decode {name}.bsc -o {name}-{precision}.wav --precision {precision}"
                ).status
                == 0
            )
    assert Path("half-bf16.wav").read_bytes() != Path("half-float32.wav").read_bytes()


def test_an_unknown_precision_is_one_line(bscodec, workplace):
    write_audio("a.wav")
    result = bscodec("encode a.wav --precision float16")
    assert_one_error(result, "invalid choice: 'float16'", status=2)
    with pytest.raises(ModelError, match="precision 'float16': expected float32 or bf16"):
        Codec.from_pretrained("bscodec-mini", "cpu", precision="float16")


def test_a_processor_without_units_refuses_what_is_asked_for(bscodec, workplace, units):
    units(False)
    write_audio("a.wav")
    for command in ("encode a.wav", "tokenize . -o out --nj 1"):
        result = bscodec(f"{command} --device cpu --precision bf16")
        assert_one_error(result, "precision bf16: the device 'cpu' has no units for it")
    assert not Path("a.bsc").exists() and not Path("out/meta.json").exists()


def test_tokens_of_two_precisions_do_not_mix(bscodec, workplace, units):
    write_audio("in/a.wav")
    assert bscodec("tokenize in -o out --nj 1 --precision bf16").status == 0
    assert read_tokens("out").metadata.precision == "bf16"
    assert "1 utterance is there" in bscodec("tokenize in -o out --nj 1 --precision bf16").out
    assert_one_error(bscodec("tokenize in -o out --nj 1"), "precision bf16, not float32")
    # folders of float32 look as they did before there was a choice
    assert bscodec("tokenize in -o out --nj 1 --force").status == 0
    assert "precision" not in json.loads(Path("out/meta.json").read_text())
    assert_one_error(bscodec("tokenize in -o out --precision bf16"), "precision float32, not bf16")


@pytest.mark.long
@pytest.mark.skipif(not half_precision.has_bf16_units(CPU), reason="no units for bfloat16")
def test_processes_code_in_the_precision_that_is_written_down(bscodec, workplace):
    write_experiment(workplace / "exp")
    write_audio("in/a.wav", 24000)
    write_audio("in/b.wav", 30000)
    command = "tokenize in --model exp --shard-size 1 --precision bf16"
    assert bscodec(f"{command} -o one --nj 1").status == 0
    assert bscodec(f"{command} -o two --nj 2").status == 0
    one, two = read_tokens("one"), read_tokens("two")
    assert all((one[name] == two[name]).all() for name in ("a", "b"))


def test_the_config_has_the_default(bscodec, workplace, units, pretrained):
    for source in (pretrained / "bscodec-mini").iterdir():
        target = workplace / "model" / source.name
        target.parent.mkdir(exist_ok=True)
        target.write_bytes(source.read_bytes())
    config = workplace / "model" / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("codec_conf:\n", "codec_conf:\n  inference_precision: bf16\n"))
    codec = Codec.from_pretrained("model", "cpu")
    assert codec.precision == "bf16"
    assert Codec.from_pretrained("model", "cpu", precision="float32").precision == "float32"
    units(False)
    assert codec.precision == "float32"  # a config may be of another machine
    audio = make_noise()
    assert codec.encode(audio, 24000).codes.shape[1] > 0
    config.write_text(text.replace("codec_conf:\n", "codec_conf:\n  inference_precision: half\n"))
    with pytest.raises(ModelError, match="inference_precision"):
        Codec.from_pretrained("model", "cpu")
