"""Weights are loaded strictly, and nothing but tensors is unpickled."""

import os
import pickle

import pytest
import torch

from espnet2.gan_codec.bscodec.hub import checkpoint
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError

from ..experiments import assert_refused, rewrite, write_experiment


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_loaded_weights_are_the_saved_ones(tmp_path, network):
    state = write_experiment(tmp_path / "mine", network)
    loaded = load_model(str(tmp_path / "mine"), "cpu")
    assert loaded.tag == "mine" and len(loaded.fingerprint) == 64
    assert loaded.checkpoint == tmp_path / "mine" / "valid.mel_loss.best.pth"
    assert not loaded.model.training
    for name, value in loaded.model.generator.state_dict().items():
        assert torch.equal(value, state[f"generator.{name}"])


def in_small_parts(monkeypatch):
    groups = checkpoint._groups
    monkeypatch.setattr(checkpoint, "_groups", lambda own: groups(own, most=1000))


def test_weights_are_the_same_when_read_in_many_parts(experiment, monkeypatch):
    before = load_model(str(experiment), "cpu").fingerprint
    in_small_parts(monkeypatch)
    assert load_model(str(experiment), "cpu").fingerprint == before


def test_a_file_that_changes_between_two_parts_is_refused(experiment, monkeypatch):
    in_small_parts(monkeypatch)
    path, reads = experiment / "valid.mel_loss.best.pth", []
    read = checkpoint.read_weights

    def read_and_write_again(file):
        reads.append(file)
        if len(reads) == 3:
            os.utime(path, ns=(0, 0))
        return read(file)

    monkeypatch.setattr(checkpoint, "read_weights", read_and_write_again)
    assert_refused(experiment, "was written to while it was read")
    assert len(reads) > 3


def without_prefix(weights):
    return {name.removeprefix("codec."): value for name, value in weights.items()}


def without_discriminator(weights):
    return {name: value for name, value in weights.items() if "generator." in name}


def with_old_weight_norm(weights):
    names = {"parametrizations.weight.original0": "weight_g"}
    names["parametrizations.weight.original1"] = "weight_v"
    renamed = {}
    for name, value in weights.items():
        for new, old in names.items():
            name = name.replace(new, old)
        renamed[name] = value
    return renamed


@pytest.mark.parametrize(
    "change",
    [without_prefix, without_discriminator, with_old_weight_norm],
    ids=lambda f: f.__name__,
)
def test_spellings_of_a_checkpoint_are_one_model(tmp_path, change):
    write_experiment(tmp_path / "mine", "seanet")
    before = load_model(str(tmp_path / "mine"), "cpu").fingerprint
    path = tmp_path / "mine" / "valid.mel_loss.best.pth"
    original = torch.load(path, weights_only=True)
    rewrite(tmp_path / "mine", change)
    assert list(torch.load(path, weights_only=True)) != list(original)
    assert load_model(str(tmp_path / "mine"), "cpu").fingerprint == before


def drop_two(weights):
    return dict(list(without_discriminator(weights).items())[2:])


def add_one(weights):
    return {**weights, "codec.generator.extra": torch.zeros(1)}


def reshape_one(weights):
    name = next(name for name, value in without_discriminator(weights).items() if value.dim() > 1)
    return {**weights, name: weights[name][:1]}


def poison_one(weights):
    name = next(iter(without_discriminator(weights)))
    return {**weights, name: torch.full_like(weights[name], float("nan"))}


def rename_all(weights):
    return {f"ema.{name}": value for name, value in weights.items()}


def wrap(weights):
    return {"model": weights, "optimizers": [], "epoch": 3}


def as_list(weights):
    return list(weights.values())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_two, "does not fit its config.yaml: it lacks generator"),
        (add_one, "does not fit its config.yaml: it also has generator.extra"),
        (reshape_one, "does not fit its config.yaml: size mismatch for"),
        (poison_one, "weight generator.* is not finite"),
        (rename_all, r"holds no weights called generator\.\*"),
        (wrap, "holds model, optimizers, epoch instead of one model's weights"),
        (as_list, "instead of one model's weights"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_checkpoints_that_do_not_fit_are_refused(experiment, change, message):
    rewrite(experiment, change)
    assert_refused(experiment, message)


class Evil:
    def __reduce__(self):
        return print, ("code ran",)


def test_pickled_code_does_not_run(experiment, capsys):
    (experiment / "valid.mel_loss.best.pth").write_bytes(pickle.dumps({"a": Evil()}))
    assert_refused(experiment, "holds more than tensors, which is refused")
    rewritten = experiment / "valid.mel_loss.best.pth"
    torch.save({"a": Evil()}, rewritten)
    assert_refused(experiment, "holds more than tensors, which is refused")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("data", [b"", b"hello" * 20, None])
def test_damaged_checkpoints_are_refused(experiment, name, data):
    path = experiment / name
    whole = (experiment / "valid.mel_loss.best.pth").read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if data is None else data)
    assert_refused(path, f"{name}: damaged")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("codec: dac\ncodec_conf: {}\n", "codec is 'dac': expected 'bscodec'"),
        ("codec: bscodec\n", "codec_conf is missing"),
        ("[1, 2]\n", "expected a mapping"),
        ("a: [1\nb", "no valid YAML"),
        ("codec: bscodec\ncodec_conf: {samplingrate: 3}\n", "unknown key 'samplingrate'"),
        ("codec: bscodec\ncodec_conf: {discriminator_params: {a: 1}}\n", "unknown key 'a'"),
        (
            "codec: bscodec\ncodec_conf: {discriminator_params: "
            "{msstft_discriminator_params: {b: 1}}}\n",
            "unknown key 'b'",
        ),
        (
            "codec: bscodec\ncodec_conf: {discriminator_params: 7}\n",
            "discriminator_params: expected a mapping",
        ),
    ],
)
def test_wrong_configs_are_refused(experiment, config, message):
    (experiment / "config.yaml").write_text(config)
    assert_refused(experiment, f"config.yaml: .*{message}")


@pytest.mark.parametrize("device", ["cuda:99", "quantum"])
def test_missing_devices_are_refused(experiment, device):
    with pytest.raises(ModelError, match=f"device '{device}'"):
        load_model(str(experiment), device)
