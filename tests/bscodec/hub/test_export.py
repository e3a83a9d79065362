"""All forms of a model have one fingerprint, which its weights alone decide."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from espnet2.gan_codec.bscodec.hub import resolver
from espnet2.gan_codec.bscodec.hub.cards import list_models
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.export import export_checkpoint, package_model
from espnet2.gan_codec.bscodec.hub.weights import fingerprint

from ..experiments import rewrite, write_experiment


def test_fingerprint_is_the_documented_hash():
    import hashlib

    weights = {"generator.b": np.float32([[1, 2]]), "generator.a": np.float16([0.5])}
    data = b"generator.a (1,)\n" + np.float32([0.5]).tobytes()
    data += b"generator.b (1, 2)\n" + np.float32([1, 2]).tobytes()
    assert fingerprint(weights.items()) == hashlib.sha256(data).hexdigest()


def test_fingerprint_changes_with_any_weight(experiment):
    before = load_model(str(experiment), "cpu").fingerprint

    def nudge(weights):
        name = [name for name in weights if "generator." in name][-1]
        return {**weights, name: weights[name] * (1 + 1e-6)}

    rewrite(experiment, nudge)
    assert load_model(str(experiment), "cpu").fingerprint != before


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_packaged_and_exported_model_are_the_same(tmp_path, network, monkeypatch):
    write_experiment(tmp_path / "mine", network)
    monkeypatch.setattr(resolver, "PRETRAINED", tmp_path / "pretrained")
    digest = package_model(str(tmp_path / "mine"), tmp_path / "pretrained" / "tiny")
    weights = load_file(tmp_path / "pretrained" / "tiny" / "model.safetensors")
    assert any(value.dtype == torch.float16 for value in weights.values())
    assert all(name.startswith("generator.") for name in weights)

    (tmp_path / "exported").mkdir()
    shutil.copy(tmp_path / "pretrained" / "tiny" / "config.yaml", tmp_path / "exported")
    assert export_checkpoint("tiny", tmp_path / "exported" / "tiny.pth") == digest
    x = torch.sin(torch.arange(3000) / 5)[None, None]
    loaded = [load_model(name, "cpu") for name in ("tiny", str(tmp_path / "exported"))]
    assert [model.fingerprint for model in loaded] == [digest, digest]
    codes = [model.model.encode(x) for model in loaded]
    assert torch.equal(*codes)

    card = list_models()[0]
    assert (card.tag, card.fingerprint) == ("tiny", digest[:8])
    assert card.bitrate == (16 if network == "spectral" else 18) * 75


def test_small_codebooks_take_a_byte_a_number(tmp_path):
    write_experiment(tmp_path / "mine", "spectral")
    digest = package_model(str(tmp_path / "mine"), tmp_path / "small", small_codebooks=True)
    weights = load_file(tmp_path / "small" / "model.safetensors")
    codebooks = [v for name, v in weights.items() if name.endswith(".frozen_codebook")]
    assert codebooks and all(value.dtype == torch.int8 for value in codebooks)
    before, after = (load_model(str(tmp_path / name), "cpu") for name in ("mine", "small"))
    assert after.fingerprint == digest
    for ours, theirs in zip(
        after.model.generator.quantizer.layers,
        before.model.generator.quantizer.layers,
        strict=True,
    ):
        codes = torch.arange(len(ours.frozen_codebook))[None]
        error = (ours.decode(codes) - theirs.decode(codes)).norm(dim=1)
        assert error.max() <= 0.02 * theirs.decode(codes).norm(dim=1).max()


def test_packaging_without_rounding_keeps_the_fingerprint(experiment, tmp_path):
    before = load_model(str(experiment), "cpu").fingerprint
    assert package_model(str(experiment), tmp_path / "full", half=False) == before


def test_values_too_large_for_half_precision_stay(experiment, tmp_path):
    def enlarge(weights):
        name = next(name for name in weights if "generator." in name)
        return {**weights, name: torch.full_like(weights[name], 1e6)}

    rewrite(experiment, enlarge)
    package_model(str(experiment), tmp_path / "large")
    weights = load_file(tmp_path / "large" / "model.safetensors")
    assert {value.dtype for value in weights.values()} == {torch.float16, torch.float32}


def test_published_cards_have_the_bitrates_of_the_paper():
    bitrates = {card.tag: card.bitrate for card in list_models()}
    assert bitrates["BSCodec_band_vq_5band"] == 3750
    assert bitrates["BSCodec_band_simvq_3band"] == 3825
    assert bitrates["BSCodec_band_simvq_2band"] == 2550


def test_safetensors_with_espnet_names_load(experiment):
    path = experiment / "valid.mel_loss.best.pth"
    before = load_model(str(experiment), "cpu").fingerprint
    weights = torch.load(path, weights_only=True)
    weights = {name: value.contiguous() for name, value in weights.items()}
    save_file(weights, experiment / "model.safetensors")
    path.unlink()
    assert load_model(str(experiment), "cpu").fingerprint == before
