"""Stage 8 of the recipe is killed at any moment: the next run packs what it should."""

import os
import random
import signal
import subprocess
import sys
import time
import zipfile

import pytest
import yaml
from trial import copy_recipe, run

from tests.bscodec.experiments import write_experiment

WORDS = ["./run.sh", "--stage", "8", "--stop_stage", "8", "--skip_packing", "false"]
WORDS += ["--codec_exp", "exp/codec_tiny_raw_fs24000"]


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """A recipe whose model was packed, the archive's contents, and the seconds that it took."""
    folder = copy_recipe(tmp_path_factory.mktemp("recipe"))
    home = folder / "exp/codec_tiny_raw_fs24000"
    write_experiment(home)
    begun = time.monotonic()
    run(folder, *WORDS)
    return folder, home, contents(home), time.monotonic() - begun


def contents(home):
    """Files of the only archive, without the time at which it was packed."""
    (path,) = home.glob("*.zip*")
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    meta = yaml.safe_load(files.pop("meta.yaml"))
    del meta["timestamp"]
    return path.name, files, meta


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        (signal.SIGKILL, 0),
        *(pytest.param(signal.SIGTERM, seed, marks=pytest.mark.long) for seed in range(3)),
        *(pytest.param(signal.SIGKILL, seed, marks=pytest.mark.long) for seed in range(1, 5)),
    ],
)
def test_packing_is_ended_at_any_moment_and_the_next_run_finishes(packed, kind, seed):
    folder, home, expected, seconds = packed
    for path in home.glob("*.zip*"):
        path.unlink()
    path = f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}"
    running = subprocess.Popen(
        WORDS, cwd=folder, env={**os.environ, "PATH": path}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    time.sleep(random.Random(seed).uniform(0, seconds))
    os.killpg(running.pid, kind)
    running.wait(60)
    if (home / expected[0]).exists():  # under its own name it is whole
        assert contents(home) == expected
    run(folder, *WORDS)
    assert contents(home) == expected
