"""``bscodec export``: forms, what goes together, and what is lost."""

import re
import sys

import pytest

from espnet2.gan_codec.bscodec.hub.checkpoint import load_model

from ..experiments import assert_one_error, tree


def test_safetensors_are_a_model(bscodec):
    result = bscodec("export other --form safetensors -o mine")
    assert result.status == 0 and tree("mine") == ["config.yaml", "model.safetensors"]
    digest = load_model("mine", "cpu").fingerprint
    assert digest == load_model("other", "cpu").fingerprint
    assert result.out == f"mine: fingerprint {digest[:8]}\n"


def test_the_loss_is_measured(bscodec):
    result = bscodec("export other --form safetensors -o mine --small-codebooks --measure")
    assert result.status == 0, result.err
    found = re.search(r"(\d+) of (\d+) codes differ \((\d+) near-ties\), audio of", result.out)
    differing, count, ties = map(int, found.groups())
    assert ties <= differing < count / 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--half", "--half goes with --form safetensors or onnx"),
        ("--form onnx --archive", "--archive goes with --form espnet"),
        ("--form onnx --small-codebooks", "--small-codebooks goes with --form safetensors"),
        ("--form safetensors --int8", "--int8 goes with --form onnx"),
        ("--form onnx --int8 --half", "--half or --int8, not both"),
        ("--measure", "--measure goes with --form safetensors or onnx"),
    ],
)
def test_what_does_not_go_together(bscodec, options, message):
    assert_one_error(bscodec(f"export other -o mine {options}"), message, status=2)
    assert tree() == []


def test_a_missing_package_is_one_line(bscodec, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    refused = bscodec("export other -o mine --form onnx")
    assert_one_error(refused, "the onnx form needs onnx: pip install 'espnet-bscodec[onnx]'")
    assert tree() == []


def test_a_model_that_is_none_leaves_nothing(bscodec):
    for form in ("espnet", "safetensors", "onnx"):
        assert bscodec(f"export none -o mine --form {form}").status == 1
        assert tree() == []
