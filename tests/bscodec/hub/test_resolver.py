"""Models are found by what users call them."""

import shutil
import sys
from pathlib import Path

import pytest
import yaml

from espnet2.gan_codec.bscodec.hub import resolver
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import find_model

from ..experiments import assert_refused, write_config, write_experiment

NEITHER = "there is no such folder here, and "


def test_checkpoints_are_chosen_in_order(experiment):
    for name in ["9epoch.pth", "10epoch.pth", "checkpoint.pth", "valid.mel_loss.ave_5best.pth"]:
        shutil.copy(experiment / "valid.mel_loss.best.pth", experiment / name)
    (experiment / "latest.pth").symlink_to("10epoch.pth")
    for name in ["small.pth", "model.safetensors"]:
        (experiment / name).touch()
    order = ["model.safetensors", "small.pth", "valid.mel_loss.best.pth"]
    order += ["valid.mel_loss.ave_5best.pth", "latest.pth", "10epoch.pth", "9epoch.pth"]
    for name in order:
        assert find_model(str(experiment)).checkpoint == experiment / name
        (experiment / name).unlink()
    (experiment / "latest.pth").symlink_to("gone.pth")
    with pytest.raises(ModelError, match="codec_small_raw_fs24000: no checkpoint there"):
        find_model(str(experiment))


def test_experiment_checkpoint_and_release_have_one_tag(experiment, tmp_path):
    names = [experiment, experiment / "valid.mel_loss.best.pth", tmp_path, tmp_path / "exp"]
    files = {find_model(str(name)) for name in names}
    assert [(found.tag, found.config.name) for found in files] == [("small", "config.yaml")]


def test_folder_of_statistics_is_no_model(experiment):
    statistics = experiment.with_name("codec_stats_raw")
    statistics.mkdir()
    write_config(statistics, codec_conf={})
    assert find_model(str(experiment.parent)).tag == "small"


def test_release_with_several_models_asks_for_one(experiment, tmp_path):
    write_experiment(experiment.with_name("codec_other_raw_fs24000"))
    with pytest.raises(ModelError, match="holds 2 models, name one of them: other, small"):
        find_model(str(tmp_path))


def test_published_model_is_found_in_the_released_layout(tmp_path, monkeypatch):
    model = "BSCodec_band_simvq_2band"
    folder = tmp_path / "exp" / f"codec_{model}_raw_fs24000"
    write_experiment(folder, checkpoint=f"{model}.pth")
    monkeypatch.chdir(tmp_path)
    files = find_model(model)
    assert files.tag == model and files.checkpoint.name == f"{model}.pth"


def test_packaged_model_comes_before_a_folder_of_its_name(tmp_path, monkeypatch):
    monkeypatch.setattr(resolver, "PRETRAINED", tmp_path / "pretrained")
    write_experiment(tmp_path / "pretrained" / "mine", checkpoint="mine.pth")
    (tmp_path / "mine").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_model("mine").config.parent == tmp_path / "pretrained" / "mine"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing-of-that-name", "no model 'nothing-of-that-name': .*BSCodec_band_vq_5band"),
        ("gone/model.pth", "no model 'gone/model.pth'"),
        (".", "no config.yaml there or in the folders below"),
        ("alone.pth", "alone.pth: there is no config.yaml beside it"),
        ("model.zip", "model.zip: a checkpoint ends in .*; unpack archives first"),
    ],
)
def test_what_cannot_be_found_is_named(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "alone.pth").touch()
    (tmp_path / "model.zip").touch()
    assert_refused(name, message)


def write_meta(folder, config="exp/codec_small_raw_fs24000/config.yaml", model_file=None):
    model_file = model_file or "exp/codec_small_raw_fs24000/valid.mel_loss.best.pth"
    meta = {"files": {"model_file": model_file}, "yaml_files": {"train_config": config}}
    (folder / "meta.yaml").write_text(yaml.safe_dump(meta))


def test_meta_yaml_of_a_packed_model_is_honoured(experiment, tmp_path):
    shutil.copy(experiment / "valid.mel_loss.best.pth", experiment / "3epoch.pth")
    write_meta(tmp_path, model_file="exp/codec_small_raw_fs24000/3epoch.pth")
    files = find_model(str(tmp_path))
    assert (files.tag, files.checkpoint) == ("small", experiment / "3epoch.pth")


@pytest.mark.parametrize("name", ["../elsewhere.pth", "/etc/passwd", "exp/gone.pth"])
def test_meta_yaml_cannot_lead_out_of_its_folder(experiment, tmp_path, name):
    (tmp_path.parent / "elsewhere.pth").touch()
    write_meta(tmp_path, model_file=name)
    assert_refused(tmp_path, "meta.yaml: names .*, which is not in the folder")


def test_meta_yaml_without_the_names_is_refused(experiment, tmp_path):
    (tmp_path / "meta.yaml").write_text("files: {asr_model_file: a.pth}\n")
    assert_refused(tmp_path, "meta.yaml: no yaml_files.train_config and files.model_file")


COMMIT = "c0ffee"


class Hub:
    """A hub of one repository that is a folder here; notes what it was asked for."""

    def __init__(self, repository, cache):
        self.repository, self.cache, self.asked = repository, cache, []

    def snapshot_download(self, repo_id, revision, allow_patterns):
        self.asked.append((repo_id, revision))
        folder = self.cache / f"models--{repo_id.replace('/', '--')}" / "snapshots" / COMMIT
        for path in self.repository.rglob("*"):
            name = path.relative_to(self.repository)
            if any(Path("/", name).match(f"/**/{p}") or name.match(p) for p in allow_patterns):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, folder / name)
        return str(folder)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A release of two models on the hub, which can be reached."""
    import huggingface_hub

    repository, cache = tmp_path / "repository", tmp_path / "cache"
    for seed, model in enumerate(["BSCodec_band_vq_5band", "other"]):
        folder = repository / "exp" / f"codec_{model}_raw_fs24000"
        write_experiment(folder, checkpoint=f"{model}.pth", seed=seed)
    hub = Hub(repository, cache)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    return hub


def test_published_tag_is_fetched_from_the_hub_alone(hub):
    files = find_model("BSCodec_band_vq_5band")
    assert files.tag == "BSCodec_band_vq_5band" and files.checkpoint.is_file()
    assert hub.asked == [("espnet/BSCodec", None), ("espnet/BSCodec", COMMIT)]
    assert [path.name for path in hub.cache.rglob("*.pth")] == ["BSCodec_band_vq_5band.pth"]


def test_hub_name_takes_model_and_revision(hub):
    assert find_model("someone/BSCodec/other@v1.0").tag == "other"
    assert hub.asked == [("someone/BSCodec", "v1.0"), ("someone/BSCodec", COMMIT)]
    with pytest.raises(ModelError, match="holds 2 models, name one of them"):
        find_model("someone/BSCodec")


def test_packed_model_on_the_hub_fetches_its_own_checkpoint_only(hub):
    folder = "exp/codec_other_raw_fs24000"
    write_meta(hub.repository, f"{folder}/config.yaml", f"{folder}/other.pth")
    assert find_model("someone/packed").tag == "other"
    assert [path.name for path in hub.cache.rglob("*.pth")] == ["other.pth"]


def test_config_at_the_root_of_a_repository_takes_the_tag_from_its_name(hub):
    shutil.rmtree(hub.repository)
    write_experiment(hub.repository, checkpoint="3epoch.pth")
    assert find_model("someone/nice-codec").tag == "nice-codec"


@pytest.mark.parametrize("error", [ConnectionError("no\nroute"), RuntimeError("client closed")])
def test_unreachable_hub_is_one_line(monkeypatch, error):
    import huggingface_hub

    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert_refused(
        "espnet/BSCodec@main",
        f"^espnet/BSCodec@main: {NEITHER}espnet/BSCodec@main: the Hugging Face hub cannot be "
        "reached",
    )


def test_published_model_that_cannot_be_had_says_where_it_may_be_put(monkeypatch, tmp_path):
    import huggingface_hub

    def fail(*args, **kwargs):
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    monkeypatch.chdir(tmp_path)
    message = "there is no exp/codec_BSCodec_band_vq_5band_raw_fs24000 here, and espnet/BSCodec: "
    assert_refused("BSCodec_band_vq_5band", f"^BSCodec_band_vq_5band: {message}")


def test_unknown_repository_is_one_line(monkeypatch):
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError

    def fail(*args, **kwargs):
        raise HFValidationError("no such repository\nand more about it")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    assert_refused(
        "a/b", f"^a/b: {NEITHER}a/b: not to be had from the Hugging Face hub: no such repository$"
    )


def test_missing_hub_client_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert_refused("a/b", f"^a/b: {NEITHER}a/b: huggingface_hub is not installed$")
