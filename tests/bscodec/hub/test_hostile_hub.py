"""What a hub or a cache may hold against us: nothing outside of the cache is touched."""

import json
import pickle
from pathlib import Path

import pytest

from espnet2.gan_codec.bscodec.hub.cached import cached_models
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.download import download_model
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.huggingface import drop_damaged
from espnet2.gan_codec.bscodec.hub.resolver import find_model

from ...hub_server import TOKEN
from ..experiments import tree
from .test_huggingface import WEIGHTS, make_repository, refused


@pytest.fixture
def repository(hub, tmp_path):
    return hub.add("me/codec", make_repository(tmp_path / "repository"))


@pytest.fixture
def victim(tmp_path):
    """A link to a file whose name could be a hash, as a cache has them, but elsewhere."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / ("e" * 40)).write_text("mine")
    (folder / "config.yaml").symlink_to("e" * 40)
    return folder


def test_a_commit_that_is_a_path_leads_nowhere(hub, repository, tmp_path, victim, monkeypatch):
    find_model("me/codec")
    ref = tmp_path / "hf/hub/models--me--codec/refs/main"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    for commit in (str(victim), "../../../../elsewhere", "..", ""):
        ref.write_text(commit)
        refused("me/codec", "me/codec: damaged in the cache: remove ", "models--me--codec")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    assert find_model("me/codec").tag == "codec"  # asked again, the hub says what it is

    info = {"id": "me/codec", "sha": str(victim), "siblings": []}
    hub.answers["/revision/main"] = 200, {}, json.dumps(info).encode()
    refused("me/codec")
    assert (victim / ("e" * 40)).read_text() == "mine"


def test_only_the_cache_is_cleaned(victim, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hf"))
    assert drop_damaged([victim / "config.yaml", victim / ("e" * 40)]) == []
    assert len(tree(victim)) == 2


NAMES = ["../x.yaml", "../../../x.yaml", "a/../../../../x.yaml", "/tmp/x.yaml", "x\0.yaml"]


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_leads_out_is_refused(repository, tmp_path, name):
    repository.commit({name: b"x: 1"})
    refused("me/codec", "what the Hugging Face hub says makes no sense: ValueError")
    assert not [path for path in tree(tmp_path) if path.endswith("x.yaml")]


@pytest.mark.parametrize("body", [b"<html>", b"", b"null", b'{"id": 1}', b"[" * 100_000])
@pytest.mark.parametrize("page", ["revision/main", "/tree/"])
def test_garbage_is_one_line(hub, repository, page, body):
    page = page if page != "/tree/" else f"/tree/{repository.refs['main']}"
    hub.answers[page] = 200, {}, body
    refused("me/codec", "what the Hugging Face hub says makes no sense: ")


def test_a_token_stays_with_the_hub(hub, repository, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    page = "/api/models/me/codec/revision/main"
    find_model("me/codec")  # the weights come from another host
    hub.answers[page] = 302, {"Location": hub.cdn + page.replace("/me/", "/you/")}, b""
    hub.add("you/codec")
    refused("me/codec")
    assert hub.told == {"127.0.0.1"}
    assert any("/you/" in path for _, path, _ in hub.requests), "it was followed"


def test_nothing_of_a_pickle_runs(repository, tmp_path):
    trace = tmp_path / "ran"

    class Bomb:
        def __reduce__(self):
            return Path.touch, (trace,)

    repository.commit({WEIGHTS: pickle.dumps(Bomb())})
    with pytest.raises(ModelError, match="holds more than tensors"):
        load_model("me/codec", "cpu")
    assert not trace.exists()


CONFIGS = ["- 1", "codec: [1]", "codec: bscodec", "codec: bscodec\ncodec_conf: [1]"]
CONFIGS += [f"codec: bscodec\ncodec_conf: {{{key}}}" for key in ("generator_params: [1]",
            "sampling_rate: x", "generator_params: {bands: [[0, x]]}")]  # fmt: skip


@pytest.mark.parametrize("config", CONFIGS)
def test_an_odd_config_in_the_cache_hides_no_other(hub, repository, tmp_path, config):
    find_model("me/codec")
    files = {"config.yaml": config.encode(), WEIGHTS: b"x"}
    hub.add("me/odd").commit(files)
    find_model("me/odd")
    with pytest.raises(ModelError):
        load_model("me/odd", "cpu")
    assert [model.name for model in cached_models()] == ["me/codec"]


def test_what_is_damaged_in_the_cache_is_fetched_again(repository, tmp_path):
    good = (tmp_path / "repository" / WEIGHTS).read_bytes()
    blob = find_model("me/codec").checkpoint.resolve()
    for damaged in (good[:1000], b"", good[:-1] + bytes([good[-1] ^ 1])):
        blob.write_bytes(damaged)
        assert download_model("me/codec").checkpoint.read_bytes() == good
    blob.unlink()
    assert find_model("me/codec").checkpoint.read_bytes() == good


@pytest.mark.parametrize("name", ["me/codec@../../x", "me/..@v1", "@", "me/codec@", "me/codec/"])
def test_names_that_are_none_ask_nobody(hub, name):
    refused(name, f"no model '{name}': neither a file or folder, nor owner/name[/model]")
    assert not hub.requests
