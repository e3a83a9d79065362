"""Tags in stock ESPnet: which are ours, and what becomes of those that are not."""

import shutil

import pytest
import yaml

from espnet2.gan_codec.bscodec.hub import model_zoo
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.huggingface import HubError

from ..experiments import write_experiment

USUAL = {"train_config": "of the zoo"}


def usual():
    return USUAL


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A folder that stands for every repository of the hub."""
    folder = tmp_path / "repository"
    folder.mkdir()

    def download(repository, revision, patterns, commit=None):
        if repository == "no/where":
            raise HubError("no/where: the hub cannot be reached")
        return folder

    for room in ("model_zoo", "resolver"):
        monkeypatch.setattr(f"espnet2.gan_codec.bscodec.hub.{room}.download", download)
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize("tag", ["bscodec-mini", "BSCodec_band_vq_5band"])
def test_our_own_tags_are_found(repository, tag):
    write_experiment(repository / "exp" / f"codec_{tag}_raw_fs24000", checkpoint=f"{tag}.pth")
    files = model_zoo.find_or(usual, tag)
    assert set(files) == {"train_config", "model_file"}
    assert files["train_config"].endswith("config.yaml")


@pytest.mark.parametrize("tag", ["a/b", "a/b@main", "a/b/small", "a/b/small@v1"])
def test_a_repository_of_ours_is_found_in_every_layout(repository, tag):
    write_experiment(repository / "exp" / "codec_small_raw_fs24000")
    assert "codec_small_raw_fs24000" in model_zoo.find_or(usual, tag)["model_file"]
    shutil.move(repository / "exp" / "codec_small_raw_fs24000", repository / "small")
    assert model_zoo.find_or(usual, tag)["train_config"] == str(repository / "small/config.yaml")


def test_another_codec_goes_its_usual_way(repository, tmp_path):
    (repository / "config.yaml").write_text(yaml.safe_dump({"codec": "dac"}))
    (repository / "broken.yaml").write_text("[")
    assert model_zoo.find_or(usual, "a/b") is USUAL
    assert model_zoo.find_or(usual, "repository") is USUAL
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "model.zip").touch()
    assert model_zoo.find_or(usual, "packed/model.zip") is USUAL
    assert model_zoo.find_or(usual, "https://zenodo.org/record/1/files/x.zip") is USUAL


def test_what_the_hub_does_not_tell_the_zoo_may_know(repository):
    assert model_zoo.find_or(usual, "no/where") is USUAL

    def fails():
        raise FileNotFoundError("meta.yaml")

    with pytest.raises(ModelError, match="^no/where: the hub cannot be reached$"):
        model_zoo.find_or(fails, "no/where")


@pytest.mark.parametrize("error", [ValueError("no\nrepository"), OSError("no\nrepository")])
def test_a_tag_that_nobody_knows_is_named_in_one_line(repository, error):
    def fails():
        raise error

    with pytest.raises(ModelError, match="^bscodec-minu: .* finds none: no repository$"):
        model_zoo.find_or(fails, "bscodec-minu")


@pytest.mark.parametrize("tag", ["", " "])
def test_an_empty_tag_is_refused_and_the_zoo_not_asked(repository, tag):
    def asked():
        pytest.fail("the zoo was asked")

    with pytest.raises(ModelError, match="tag is empty"):
        model_zoo.find_or(asked, tag)
