"""Models by name from a hub with the real one's endpoints, through the real client."""

import os
import subprocess
import sys

import pytest
import yaml

from espnet2.gan_codec.bscodec.hub import huggingface
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import find_model

from ...hub_server import TOKEN
from ..experiments import write_experiment

LAYOUTS = ("zoo", "released", "plain")
WEIGHTS = "small.pth"


def make_repository(folder, layout="plain", seed=0):
    """A model as the model zoo, the release or a user lays it out."""
    home = folder if layout == "plain" else folder / "exp" / "codec_small_raw_fs24000"
    write_experiment(home, checkpoint=WEIGHTS, seed=seed)
    if layout == "zoo":
        at = home.relative_to(folder)
        files = {"model_file": f"{at}/{WEIGHTS}"}
        meta = {"files": files, "yaml_files": {"train_config": f"{at}/config.yaml"}}
        (folder / "meta.yaml").write_text(yaml.safe_dump(meta))
    return folder


@pytest.fixture
def no_waiting(monkeypatch):
    monkeypatch.setattr(huggingface.time, "sleep", lambda seconds: None)


@pytest.fixture
def repository(hub, tmp_path):
    """One model on the hub, me/codec, in a plain folder."""
    return hub.add("me/codec", make_repository(tmp_path / "repository"))


def refused(name, *parts):
    with pytest.raises(ModelError) as error:
        find_model(name)
    message = str(error.value)
    assert "\n" not in message and all(part in message for part in parts), message


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_loads_also_offline(hub, tmp_path, monkeypatch, layout):
    folder = make_repository(tmp_path / "repository", layout)
    hub.add("me/codec", folder)
    expected = load_model(str(folder), "cpu").fingerprint
    assert load_model("me/codec", "cpu").fingerprint == expected
    asked = len(hub.requests)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert load_model("me/codec", "cpu").fingerprint == expected
    assert len(hub.requests) == asked


def test_a_revision_is_a_tag_a_hash_or_a_pull_request(hub, repository, tmp_path):
    first = repository.refs["v1"] = repository.refs["main"]
    newer = make_repository(tmp_path / "newer", seed=1)
    repository.commit({WEIGHTS: (newer / WEIGHTS).read_bytes()})
    repository.refs["refs/pr/1"] = repository.refs["main"]
    old, new = (load_model(str(tmp_path / n), "cpu").fingerprint for n in ("repository", "newer"))
    for revision, expected in (("v1", old), (first, old), ("main", new), ("refs/pr/1", new)):
        assert load_model(f"me/codec@{revision}", "cpu").fingerprint == expected
    refused("me/codec@v2", "me/codec@v2: the Hugging Face hub: has no such revision")


def test_only_the_wanted_weights_are_fetched(hub, tmp_path):
    folder = make_repository(tmp_path / "repository", "released")
    write_experiment(folder / "exp" / "codec_other_raw_fs24000", checkpoint="other.pth")
    hub.add("me/codec", folder)
    refused("me/codec", "me/codec: holds 2 models, name one of them: other, small")
    assert find_model("me/codec/other").tag == "other"
    assert hub.sent("other.pth") and not hub.sent(WEIGHTS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_model_that_a_repository_does_not_have(hub, tmp_path, layout):
    hub.add("me/codec", make_repository(tmp_path / "repository", layout))
    refused("me/codec/wrong", "me/codec: no config.yaml of model 'wrong'")
    if layout != "plain":
        assert find_model("me/codec/small").tag == "small"


def test_config_and_weights_are_of_one_commit(hub, repository, tmp_path, monkeypatch):
    expected = load_model(str(tmp_path / "repository"), "cpu").fingerprint
    newer = make_repository(tmp_path / "newer", seed=1)
    once = huggingface.download

    def download(*args, **kwargs):
        folder = once(*args, **kwargs)
        repository.commit({WEIGHTS: (newer / WEIGHTS).read_bytes(), "config.yaml": b"codec: dac"})
        return folder

    monkeypatch.setattr("espnet2.gan_codec.bscodec.hub.resolver.download", download)
    assert load_model("me/codec", "cpu").fingerprint == expected


def test_what_may_not_be_seen(hub, repository, tmp_path, monkeypatch):
    refused("me/none", "there is none, or it is private", "HF_TOKEN")
    monkeypatch.setenv("HF_TOKEN", "é")
    refused("me/none", "the token is none; `hf auth login` or HF_TOKEN gives a token")
    monkeypatch.delenv("HF_TOKEN")
    repository.private = True
    refused("me/codec", "there is none, or it is private")
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert find_model("me/codec").checkpoint.name == WEIGHTS
    hub.add("me/gated", tmp_path / "repository", gated=True)
    refused("me/gated", "is gated: ask for access on its page there")
    monkeypatch.delenv("HF_TOKEN")
    refused("me/gated", "is gated: ask for access on its page there")


def test_a_busy_hub_is_asked_again(hub, repository, no_waiting):
    hub.refusals = 2
    assert find_model("me/codec").checkpoint.name == WEIGHTS
    hub.refusals = 100
    find_model("me/codec")  # from the cache
    refused("me/other", "too many requests from here (429): try again later")
    hub.refusal = 503, {}
    refused("me/other", "is out of order (503): try again later")
    hub.refusal = 429, {"Retry-After": "3600"}
    left = hub.refusals
    refused("me/other", "(429)")
    assert hub.refusals == left - 1, "no more tries within what the hub asks to wait"


def test_a_broken_connection_is_gone_on_from_where_it_broke(hub, repository, tmp_path):
    hub.breaks[WEIGHTS] = 10_000
    found = find_model("me/codec").checkpoint
    assert found.read_bytes() == (tmp_path / "repository" / WEIGHTS).read_bytes()
    first, second = hub.sent(f"/{WEIGHTS}")[-2:]
    # what the client has seen of the first answer is not asked for again
    assert first is None and (second is None or int(second[6:-1]) <= 10_000)


def test_damage_on_the_way_is_seen_and_mended(hub, repository, tmp_path, no_waiting):
    good = (tmp_path / "repository" / WEIGHTS).read_bytes()
    hub.damaged[WEIGHTS] = good[:-1] + bytes([good[-1] ^ 1])
    refused("me/codec", f"sent {WEIGHTS} damaged: try again")
    hub.damaged[WEIGHTS] = good[:-7]
    refused("me/codec", "a file of another size than it says")
    hub.damaged["config.yaml"] = b"codec: bscodec\n"
    del hub.damaged[WEIGHTS]
    assert find_model("me/codec").checkpoint.read_bytes() == good


def test_a_repository_without_weights(hub, repository):
    del repository.commits[repository.refs["main"]][WEIGHTS]
    refused("me/codec", "me/codec: no checkpoint there")
    hub.add("me/empty")
    refused("me/empty", "me/empty: no config.yaml there")


def test_a_full_disk_is_named(repository, monkeypatch):
    import huggingface_hub

    def fail(*args, **kwargs):
        raise OSError(28, "No space left on device", "/cache/blobs/x")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    refused("me/codec", "me/codec: /cache/blobs/x: No space left on device")

    def fail_within(*args, **kwargs):
        raise RuntimeError("a thread failed") from OSError(28, "No space left on device")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail_within)
    refused("me/codec", "me/codec: /", "/hf/hub: No space left on device")


def test_offline_is_named(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    refused("me/codec", "HF_HUB_OFFLINE is set, and the cache has not all")
    assert not hub.requests


def test_addresses_are_not_logged(repository, caplog):
    with caplog.at_level("INFO"):
        find_model("me/codec")
    assert not [record for record in caplog.records if "http" in record.getMessage()]


def bscodec(*arguments, **options):
    command = [sys.executable, "-m", "espnet2.bin.bscodec", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **pipes, **options)


def test_two_processes_at_once(hub, repository, tmp_path):
    runs = [bscodec("download", "me/codec", "-o", name, cwd=tmp_path) for name in ("a", "b")]
    assert [run.communicate(timeout=100)[1] for run in runs] == ["", ""]
    good = (tmp_path / "repository" / WEIGHTS).read_bytes()
    assert all((tmp_path / name / WEIGHTS).read_bytes() == good for name in ("a", "b"))


def test_no_hub_at_all_is_one_line(tmp_path):
    environment = {**os.environ, "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path)}
    run = bscodec("download", "me/codec", env=environment, cwd=tmp_path)
    out, err = run.communicate(timeout=100)
    assert run.returncode == 1 and out == "" and len(err.splitlines()) == 1
    assert err.startswith("bscodec: error: me/codec: ") and "cannot be reached" in err


LOAD = """
import sys
from espnet2.bin.gan_codec_inference import AudioCoding
for tag in sys.argv[1:]:
    coding = AudioCoding.from_pretrained(tag)
    print(sum(p.double().sum().item() for p in coding.model.codec.generator.parameters()))
"""


def test_stock_espnet_takes_every_layout(hub, tmp_path):
    for seed, layout in enumerate(LAYOUTS):
        hub.add(f"me/{layout}", make_repository(tmp_path / layout, layout, seed))
    tags = [f"me/{layout}" for layout in LAYOUTS]
    command = [sys.executable, "-W", "ignore", "-c", LOAD, *tags]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    models = [load_model(str(tmp_path / layout), "cpu").model for layout in LAYOUTS]
    sums = [sum(p.double().sum().item() for p in m.generator.parameters()) for m in models]
    assert [float(line) for line in run.stdout.split()[-3:]] == pytest.approx(sums)


def test_the_zoo_s_own_downloader_takes_the_zoo_s_layout(hub, tmp_path):
    from espnet_model_zoo.downloader import ModelDownloader

    hub.add("me/codec", make_repository(tmp_path / "repository", "zoo"))
    files = ModelDownloader(tmp_path / "zoo").download_and_unpack("me/codec")
    assert load_model(files["model_file"], "cpu").tag == "small"
