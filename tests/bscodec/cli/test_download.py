"""``bscodec download``, and what ``bscodec models`` then lists."""

import json

import pytest

from ...hub_server import TOKEN
from ..experiments import assert_one_error, tree, write_experiment


@pytest.fixture
def repository(hub, workplace):
    folder = workplace / "repository"
    write_experiment(folder, checkpoint="codec.pth")
    return hub.add("me/codec", folder)


def test_into_the_cache(bscodec, hub, repository, workplace):
    result = bscodec("download me/codec")
    assert result.status == 0 and result.err == ""
    paths = [line.rpartition(" (")[0] for line in result.out.splitlines()]
    assert [path.rpartition("/")[2] for path in paths] == ["config.yaml", "codec.pth"]
    assert all(path.startswith(str(workplace / "hf")) for path in paths)
    asked = len(hub.sent("codec.pth"))
    assert bscodec("download me/codec").status == 0 and len(hub.sent("codec.pth")) == asked


def test_into_a_folder_that_is_a_model(bscodec, repository, workplace):
    assert bscodec("download me/codec -o mine").out.splitlines()[0].startswith("mine/config.yaml")
    assert tree("mine") == ["codec.pth", "config.yaml"]
    assert bscodec("export mine -o exported").status == 0
    assert bscodec("download me/codec -o mine").status == 0  # the same files
    (workplace / "mine" / "codec.pth").write_bytes(b"another")
    refused = bscodec("download me/codec -o mine")
    assert_one_error(refused, "mine/codec.pth: is there already, another one")
    assert (workplace / "mine" / "codec.pth").read_bytes() == b"another"
    assert bscodec("download me/codec -o mine --force").status == 0
    good = (workplace / "repository" / "codec.pth").read_bytes()
    assert (workplace / "mine" / "codec.pth").read_bytes() == good


def test_a_packaged_model_is_there_already(bscodec, pretrained):
    assert bscodec("download other").out.startswith(str(pretrained / "other" / "config.yaml"))
    assert bscodec("download other -o mine").status == 0
    assert tree("mine") == ["config.yaml", "model.safetensors"]


def test_what_cannot_be_had_is_one_line(bscodec, hub, repository, monkeypatch):
    repository.private = True
    for name in ("me/codec", "me/none"):
        assert_one_error(bscodec(f"download {name} -o mine"), "there is none, or it is private")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    repository.commit({"config.yaml": b"codec: dac\ncodec_conf: {}\n"})
    assert_one_error(bscodec("download me/codec -o mine"), "codec is 'dac': expected 'bscodec'")
    assert "mine/" not in "".join(tree())


def test_models_lists_the_cache(bscodec, hub, repository, workplace):
    repository.refs["v1"] = repository.refs["main"]
    repository.commit({"codec.pth": (workplace / "repository/codec.pth").read_bytes() + b"\0"})
    hub.add("me/dac").commit({"config.yaml": b"codec: dac\n", "x.pth": b"x"})
    two = workplace / "two"
    for name in ("a", "b"):
        write_experiment(two / "exp" / name, checkpoint=f"{name}.pth")
    hub.add("me/two", two)
    for name in ("me/codec", "me/codec@v1", "me/two/b", "me/two/a"):
        assert bscodec(f"download {name}").status == 0
    assert_one_error(bscodec("download me/dac"), "codec is 'dac'")
    cards = json.loads(bscodec("models --json").out)
    cached = {card["tag"]: card["source"] for card in cards if "cache" in card["source"]}
    assert sorted(cached) == ["me/codec", "me/codec@v1", "me/two/a", "me/two/b"]
    assert cached["me/two/b"] == "in the cache, b.pth"
    lines = bscodec("models").out.splitlines()
    assert sum("in the cache" in line for line in lines) == 4
