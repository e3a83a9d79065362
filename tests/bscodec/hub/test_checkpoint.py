"""Weights are loaded strictly, and nothing but tensors is unpickled."""

import os
import pickle
import resource
import subprocess
import sys
import zipfile

import pytest
import torch
import yaml

from espnet2.gan_codec.bscodec.hub import checkpoint
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError

from ..experiments import assert_refused, rewrite, write_config, write_experiment


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
    monkeypatch.setattr(checkpoint, "_groups", lambda own: groups(own, max_bytes=1000))


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
        ("codec: bscodec\ncodec_conf: {generator_params: 7}\n", "expected a mapping"),
        ("codec: bscodec\ncodec_conf: {generator_params: {b: 1}}\n", "unknown key 'b'"),
        ("a: 2026-13-01\n", "no valid YAML: month must be in 1..12"),
        ("a: !!python/object/apply:os.system [true]\n", "no valid YAML"),
        ("a: " + "[" * 3000, "no valid YAML: .*(nest|flow level)"),
        (
            "a: &a [x, x]\n"
            + "".join(
                f"{y}: &{y} [{', '.join(['*' + x] * 9)}]\n"
                for x, y in zip("abcdefgh", "bcdefghi", strict=True)
            ),
            "no valid YAML: more than 200000 values",
        ),
        ("a: " + "x" * (1 << 20), "more than 1 MiB"),
    ],
)
def test_wrong_configs_are_refused(experiment, config, message):
    (experiment / "config.yaml").write_text(config)
    assert_refused(experiment, f"config.yaml: .*{message}")


def test_a_config_that_is_no_file_is_refused_at_once(experiment):
    (experiment / "config.yaml").unlink()
    os.mkfifo(experiment / "config.yaml")
    path = experiment / "valid.mel_loss.best.pth"
    assert_refused(path, "there is no config.yaml")
    path.unlink()
    (experiment / "config.yaml").unlink()
    (experiment / "config.yaml").write_text("codec: bscodec")
    os.mkfifo(path)
    assert_refused(experiment, "no checkpoint there")


@pytest.mark.parametrize(
    "training",
    [
        {"lambda_of_tomorrow": 3},
        {"discriminator_params": {"a": 1}},
        {"discriminator_params": {"msstft_discriminator_params": {"of_tomorrow": 1}}},
        {"discriminator_params": 7},
        {"mel_loss_params": {"n_mels": 10**8, "range_end": 30}},
    ],
)
def test_what_only_training_uses_is_ignored(experiment, training, caplog):
    before = load_model(str(experiment), "cpu").fingerprint
    config = yaml.safe_load((experiment / "config.yaml").read_text())
    write_config(experiment, codec_conf={**config["codec_conf"], **training})
    assert load_model(str(experiment), "cpu").fingerprint == before
    lines = [record.getMessage() for record in caplog.records]
    if "mel_loss_params" in training:
        assert not lines
    else:
        (line,) = lines
        assert "config.yaml: ignored, since coding does not need it: codec_conf" in line


ABSURD = [
    ("hidden_dim", 10**9),
    ("bands", [[i * 1.0, (i + 1) * 1.0] for i in range(1000)]),
    ("bands", [[i * 100, (i + 1) * 100] for i in range(120)]),  # each of them small
    ("encdec_ratios", [2] * 40),
    ("encdec_ratios", [2**30]),
    ("encdec_kernel_size", 10**12),
    ("encdec_n_residual_layers", 10**9),
    ("encdec_lstm", 10**9),
    ("encdec_n_filters", 10**6),
    ("quantize_codebook_dim", 10**6),
    ("quantize_codebook_size", 2**24),
    ("encdec_compress", 100),
    ("encdec_dilation_base", 10**15),
    ("encdec_norm", "nope"),
    ("encdec_norm", "layer_norm"),
    ("encdec_activation", "Snak"),
    ("encdec_pad_mode", "nope"),
    ("decoder_final_activation", "Tan"),
    ("decoder_trim_right_ratio", 2),
    ("decoder_trim_right_ratio", "x"),
]


@pytest.mark.parametrize(("key", "value"), ABSURD)
def test_impossible_sizes_and_names_are_refused_before_memory_is_taken(tmp_path, key, value):
    write_experiment(tmp_path, "seanet")
    conf = yaml.safe_load((tmp_path / "config.yaml").read_text())["codec_conf"]
    conf["generator_params"][key] = value
    if key == "decoder_trim_right_ratio":
        conf["generator_params"]["encdec_causal"] = True
    write_config(tmp_path, codec_conf=conf)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_refused(tmp_path, f"generator_params.{key}|does not fit its config.yaml: size mismatch")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 400_000  # KiB


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("codec: bscodec\ncodec_conf: &x\n  generator_params: *x\n", "nested too deeply"),
        ("codec: &x [*x]\n", "nested too deeply"),
        (f"codec: 1{':59' * 300_000}\n", "a value of more than 4096 characters"),
    ],
    ids=["a mapping in itself", "a list in itself", "a number in base 60"],
)
def test_yaml_without_end_is_one_line(experiment, text, reason):
    (experiment / "config.yaml").write_text(text)
    assert_refused(experiment, f"config.yaml: no valid YAML: {reason}")


ODD = {
    "sparse": lambda w: w.to_sparse(),
    "complex": lambda w: w.to(torch.complex64),
    "meta": lambda w: w.to("meta"),
    "quantized": lambda w: torch.quantize_per_tensor(w, 0.1, 0, torch.qint8),
    "nested": lambda w: torch.nested.nested_tensor([w, w]),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ODD)
def test_odd_tensors_are_refused(experiment, kind):
    def change(weights):
        name = next(name for name in weights if weights[name].is_floating_point())
        return {**weights, name: ODD[kind](weights[name])}

    rewrite(experiment, change)
    assert_refused(experiment, "expected real numbers|damaged")


def test_names_that_are_no_strings_are_refused(experiment):
    rewrite(experiment, lambda weights: {3: torch.zeros(1), **weights})
    assert_refused(experiment, "a weight is called 3: expected a string")


def test_compressed_archives_are_refused(experiment):
    path = experiment / "valid.mel_loss.best.pth"
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    assert_refused(experiment, "a compressed archive")


@pytest.mark.parametrize("text", [b"RIFF", b"hello\n", b"\x80\x02.", b"PK\x03\x04", b""])
def test_files_that_are_no_checkpoints_are_refused(experiment, text):
    (experiment / "valid.mel_loss.best.pth").write_bytes(text)
    assert_refused(experiment, "valid.mel_loss.best.pth: (damaged|holds)")


@pytest.mark.parametrize("device", ["cuda:99", "quantum"])
def test_missing_devices_are_refused(experiment, device):
    with pytest.raises(ModelError, match=f"device '{device}'"):
        load_model(str(experiment), device)


@pytest.mark.parametrize("network", ["spectral", "seanet"])
def test_loading_imports_neither_a_compiler_nor_filters_of_the_training(tmp_path, network):
    """Each takes seconds of a command that codes one short file; ESPnet 202611 imports some."""
    write_experiment(tmp_path / "model", network)
    code = "import sys, espnet2.gan_codec.bscodec.bscodec\n"
    code += "from espnet2.gan_codec.bscodec.hub.checkpoint import load_model\n"
    code += f"before = set(sys.modules); load_model({str(tmp_path / 'model')!r})\n"
    code += "new = set(sys.modules) - before\n"
    code += "print(new & {'torch._dynamo', 'sympy', 'numba', 'scipy.signal'})"
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
