"""``bscodec export``: forms, what goes together, and what is lost."""

import re
import sys

import pytest

from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.config_file import read_yaml

from ..conftest import tiny_conf
from ..experiments import assert_one_error, tree, write_experiment, write_model


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


@pytest.mark.parametrize("form", ["espnet", "safetensors", "onnx"])
def test_a_failure_leaves_nothing(bscodec, workplace, form, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", fail)  # the last of the files
    refused = bscodec(f"export other -o out/mine --form {form}")
    assert_one_error(refused, "bscodec: error: out/mine/")
    assert_one_error(refused, "No space left on device")
    assert not (workplace / "out").exists()
    (workplace / "there").mkdir()
    assert bscodec(f"export other -o there --form {form}").status == 1
    assert list((workplace / "there").iterdir()) == []


@pytest.mark.parametrize("form", ["espnet", "safetensors", "onnx"])
def test_other_files_are_not_replaced(bscodec, workplace, form):
    line = f"export other -o mine --form {form}"
    assert bscodec(line).status == bscodec(line).status == 0  # the same again
    name = tree("mine")[0]
    good = (workplace / "mine" / name).read_bytes()
    (workplace / "mine" / name).write_bytes(b"another")
    before = tree()
    assert_one_error(bscodec(line), f"mine/{name}: is there already, another one (--force")
    assert tree() == before and (workplace / "mine" / name).read_bytes() == b"another"
    assert bscodec(f"{line} --force").status == 0
    assert (workplace / "mine" / name).read_bytes() == good


@pytest.mark.parametrize("form", ["espnet", "safetensors"])
def test_the_model_itself_is_never_replaced(bscodec, workplace, form):
    write_experiment(workplace / "exp")
    before = {path: (workplace / path).read_bytes() for path in tree()}
    refused = bscodec(f"export exp -o exp --form {form} --force")
    assert_one_error(refused, "exp/config.yaml: is of the model itself: give another folder")
    assert {path: (workplace / path).read_bytes() for path in tree()} == before


def test_an_archive_is_made_again(bscodec):
    for _ in range(2):  # its meta.yaml has the time
        assert bscodec("export other -o mine --archive").status == 0
    assert tree("mine") == ["config.yaml", "other.pth", "other.zip"]


def test_the_command_line_is_not_espnets(bscodec, workplace):
    assert bscodec("export other --output mine").status == 0
    assert read_yaml(workplace / "mine" / "config.yaml")["output_dir"] is None


def test_what_is_no_folder(bscodec, workplace):
    for command in ("export", "download"):
        refused = bscodec(f"{command} other -o ''")
        assert_one_error(refused, "expected the name of a folder, got an empty one", status=2)
        (workplace / "file").touch()
        assert_one_error(bscodec(f"{command} other -o file"), "bscodec: error: file: ")
        assert tree() == ["file"]


def test_only_frozen_codebooks_are_made_small(bscodec, workplace):
    losses = {"use_mel_loss": False, "use_spectral_loss": True}
    write_model(workplace / "vq", tiny_conf("spectral", quantize_choice="band_vq", **losses))
    refused = bscodec("export vq -o mine --form safetensors --small-codebooks")
    assert_one_error(refused, "vq: only SimVQ has frozen codebooks")
    assert not (workplace / "mine").exists()


def test_a_model_that_is_none_leaves_nothing(bscodec):
    for form in ("espnet", "safetensors", "onnx"):
        assert bscodec(f"export none -o mine --form {form}").status == 1
        assert tree() == []
