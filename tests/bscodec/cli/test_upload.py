"""``bscodec upload`` to a hub with the real one's endpoints, through the real client."""

import json
import shlex
import shutil
import zipfile

import pytest
import yaml

from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.export import export_experiment

from ...hub_server import TOKEN
from ..experiments import assert_one_error, write_experiment

SCORES = {
    "speech": {"pesq": {"mean": 2.41}, "mel": {"mean": 0.71}},
    "music": {"mel": {"mean": 0.62}},
}


@pytest.fixture
def token(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)


@pytest.fixture
def packed(workplace):
    """A packed model, made once a test: it takes seconds."""
    export_experiment("other", workplace / "exported", archive=True)
    return workplace / "exported" / "other.zip"


def files_of(hub, name="me/codec", ref="main"):
    repository = hub.repositories[name]
    return repository.commits[repository.refs[ref]]


def write_scores(path, systems=("ours",)):
    domains = {d: {"metrics": metrics} for d, metrics in SCORES.items()}
    path.write_text(json.dumps({"systems": {name: {"domains": domains} for name in systems}}))


def metadata(card):
    return yaml.safe_load(card.decode().split("---\n")[1])


def test_a_model_comes_back_as_it_went(bscodec, hub, token, workplace, monkeypatch):
    result = bscodec("upload other me/codec")
    assert result.status == 0 and result.err == ""
    commit = hub.repositories["me/codec"].refs["main"]
    assert result.out == f"uploaded: {hub.url}/me/codec/commit/{commit}\n"
    assert {"README.md", "meta.yaml", "config.yaml", "other.pth"} <= set(files_of(hub))
    digest = load_model("other", "cpu").fingerprint
    assert load_model("me/codec", "cpu").fingerprint == digest

    from espnet_model_zoo.downloader import ModelDownloader

    files = ModelDownloader(workplace / "zoo").download_and_unpack("me/codec")
    assert load_model(files["model_file"], "cpu").fingerprint == digest


def test_the_card(bscodec, hub, token, packed, workplace):
    from huggingface_hub import ModelCard

    write_scores(workplace / "summary.json")
    options = "--license cc-by-4.0 --dataset me/speech --dataset me/music --scores summary.json"
    assert bscodec(f"upload {packed} me/codec --private {options}").status == 0
    assert hub.repositories["me/codec"].private
    text = files_of(hub)["README.md"]
    card = ModelCard(text.decode())
    card.validate()
    assert card.data.get("model_name") == "codec" and card.text.startswith("\n# codec\n")
    assert card.data.license == "cc-by-4.0" and card.data.datasets == ["me/speech", "me/music"]
    assert card.data.get("library_name") == "espnet" and "bscodec" in card.data.tags
    assert card.data.metrics == ["mel", "pesq"]
    found = {(r.dataset_type, r.metric_type): r.metric_value for r in card.data.eval_results}
    assert found == {("speech", "pesq"): 2.41, ("speech", "mel"): 0.71, ("music", "mel"): 0.62}
    body = card.text
    assert "| 1 | 1200 | 1024 | 0.75 |" in body and "| 2 | 12000 | 64 | 1.20 |" in body
    assert "--model me/codec" in body and "@inproceedings" in body
    assert "| speech | 2.410 | 0.710 |" in body and "| music |  | 0.620 |" in body


def test_a_card_that_is_there_stays(bscodec, hub, token, packed):
    bscodec(f"upload {packed} me/codec")
    repository = hub.repositories["me/codec"]
    repository.commit({"README.md": b"---\nlicense: mit\n---\nmine\n", "config.yaml": b"old"})
    assert bscodec(f"upload {packed} me/codec --license cc-by-4.0").status == 0
    assert files_of(hub)["README.md"].endswith(b"mine\n")
    assert files_of(hub)["config.yaml"] != b"old"
    assert bscodec(f"upload {packed} me/codec --license cc-by-4.0 --new-card").status == 0
    assert metadata(files_of(hub)["README.md"])["license"] == "cc-by-4.0"


def test_a_pull_request_leaves_the_branch_alone(bscodec, hub, token, packed):
    refused = bscodec(f"upload {packed} you/codec --pull-request")
    assert_one_error(refused, "you/codec: the Hugging Face hub: there is none")
    hub.add("you/codec").commit({"README.md": b"---\nlicense: mit\n---\ntheirs\n"})
    before = files_of(hub, "you/codec")
    result = bscodec(f"upload {packed} you/codec --pull-request")
    assert result.out == f"uploaded: {hub.url}/you/codec/discussions/1\n"
    assert files_of(hub, "you/codec") == before
    proposed = files_of(hub, "you/codec", "refs/pr/1")
    assert "other.pth" in proposed and proposed["README.md"].endswith(b"theirs\n")
    digest = load_model("other", "cpu").fingerprint
    assert load_model("you/codec@refs/pr/1", "cpu").fingerprint == digest


def add_to(archive, name, content=b"x", mode=0o100644):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    with zipfile.ZipFile(archive, "a") as packed:
        packed.writestr(entry, content)


@pytest.mark.parametrize("name", [".env", ".git/config", "a/.netrc", "../x", "a/../../x", "/x"])
def test_only_files_of_a_packed_model_go(bscodec, hub, token, packed, name):
    add_to(packed, name)
    refused = bscodec(f"upload {packed} me/codec")
    assert_one_error(refused, f"other.zip: holds {name}, which is no part of a packed model")
    assert not hub.repositories


def test_a_packed_model_has_to_load(bscodec, hub, token, packed, workplace):
    for name in ("other.pth", "config.yaml"):
        shutil.copy(packed, "broken.zip")
        with pytest.warns(UserWarning, match="Duplicate name"):
            add_to("broken.zip", name, b"[")  # the last of one name counts
        assert_one_error(bscodec("upload broken.zip me/codec"), "broken.zip/")
    shutil.copy(packed, "link.zip")
    add_to("link.zip", "link", b"/etc/passwd", 0o120777)
    assert_one_error(bscodec("upload link.zip me/codec"), "link.zip: holds link, which is no part")
    shutil.copy(packed, "folder.zip")
    add_to("folder.zip", "README.md/x")
    assert_one_error(bscodec("upload folder.zip me/codec"), "README.md is a folder there")
    assert not hub.repositories


def test_a_name_is_no_card(bscodec, hub, token, workplace):
    name = "a: b\n---\nlicense: mit\n---\n# c"
    write_experiment(workplace / name)
    assert bscodec(f"upload {shlex.quote(name)} me/codec --license cc-by-4.0").status == 0
    card = files_of(hub)["README.md"]
    assert metadata(card)["license"] == "cc-by-4.0" and b"mit" not in card


def test_what_is_refused_is_one_line(bscodec, hub, packed, workplace, monkeypatch):
    assert_one_error(bscodec(f"upload {packed} me/codec"), "no Hugging Face token")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    assert bscodec(f"upload {packed} me/codec").status == 1
    monkeypatch.setenv("HF_TOKEN", "é")
    assert_one_error(bscodec(f"upload {packed} me/codec"), "me/codec: the token is none; ")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.add("you/codec")
    refused = bscodec(f"upload {packed} you/codec")
    assert_one_error(refused, "you/codec: the Hugging Face hub refuses (403)")
    refused = bscodec(f"upload {packed} me/codec --license of-my-own")
    assert_one_error(refused, 'me/codec: the card\'s metadata: "license" must be one')
    assert "me/codec" not in hub.repositories, "none is made for a card that is refused"
    for name in ("'no name'", "me", "me/codec/x", "me/codec@main", "me/../codec"):
        refused = bscodec(f"upload {packed} {name}")
        assert_one_error(refused, "expected a repository of the Hugging Face hub, owner/name")
    (workplace / "summary.json").write_text("[]")
    refused = bscodec(f"upload {packed} me/codec --scores summary.json")
    assert_one_error(refused, "summary.json: no summary.json of bscodec score")
    write_scores(workplace / "summary.json", ("a", "b"))
    refused = bscodec(f"upload {packed} me/codec --scores summary.json")
    assert_one_error(refused, "summary.json: expected the scores of one system, got 2")
    (workplace / "other.zip").write_bytes(packed.read_bytes()[:1000])
    assert_one_error(bscodec("upload other.zip me/codec"), "other.zip: no packed model")
    assert_one_error(bscodec("upload none me/codec"), "no model 'none'")
    hub.refusals = 1
    assert_one_error(bscodec(f"upload {packed} me/codec"), "too many requests")
