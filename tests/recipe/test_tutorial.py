"""The tutorial runs as it stands, with a tiny folder and its own short length of training."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from trial import REPOSITORY, copy_recipe

from espnet2.gan_codec.bscodec.demo.clips import SHIPPED
from tests.hub_server import TOKEN

PAGE = (REPOSITORY / "docs/tutorial.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, flags=re.M | re.S)


@pytest.mark.long
def test_every_command_runs(tmp_path, hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    recipe = copy_recipe(tmp_path)
    recordings = tmp_path / "recordings"
    for i, clip in enumerate(sorted(Path(SHIPPED).glob("*.flac"))):  # four voices, if they were
        (recordings / f"voice{i % 4}").mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, recordings / f"voice{i % 4}")
    (quick,) = re.findall(r'`(length="--max_epoch 1 .*?")`', PAGE)
    script = "set -euo pipefail\n" + "".join(BLOCKS)
    for line, other in (
        ("recordings=/my/recordings\n", f"recordings={recordings}\n"),
        ('length="--max_epoch 20"\n', f"{quick}\n"),
    ):
        assert script.count(line) == 1
        script = script.replace(line, other)
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]

    (system,) = json.loads(
        (recipe / "exp/codec_mine_raw_fs24000/decode_valid.spectral_loss.best/scores/summary.json")
        .read_text()
    )["systems"].values()  # fmt: skip
    assert system["all"]["pairs"] >= 1
    compared = json.loads((recipe / "exp/compared/summary.json").read_text())["systems"]
    assert len(compared) == 2 and "mine" in compared
    assert len(list((recipe / "exp/coded").rglob("*.bsc"))) == 12
    assert len(list((recipe / "exp/decoded").rglob("*.wav"))) == 12
    assert (recipe / "exp/tokens/meta.json").exists()
    repository = hub.repositories["me/my-codec"]
    assert b"license: cc-by-4.0" in repository.commits[repository.refs["main"]]["README.md"]
    assert (recipe / "exp/again.bsc").read_bytes()[:3] == b"BSC"
