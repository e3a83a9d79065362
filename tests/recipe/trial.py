"""A copy of the recipe to run in, and small things to run it with."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile as sf

REPOSITORY = Path(__file__).parents[2]
RECIPE = Path("egs2/bscodec/codec1")
MADE_BY_RUNS = ("data", "dump", "exp", "downloads", "__pycache__")


def copy_recipe(root):
    """The recipe without what runs have made, as it lies in the repository; returns its folder."""
    ignore = shutil.ignore_patterns(*MADE_BY_RUNS)
    shutil.copytree(REPOSITORY / RECIPE, root / RECIPE, symlinks=True, ignore=ignore)
    shutil.copytree(REPOSITORY / "conf", root / "conf")
    return root / RECIPE


def run(folder, *words, check=True, **variables):
    """Run a script of the recipe; with ``check``, it must succeed."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        [*map(str, words)], cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": path, **variables},
    )  # fmt: skip
    if check:
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    return done


def write_tone(path, seconds, rate=24000, channels=1, hertz=440.0):
    """A tone; returns its number of samples."""
    path.parent.mkdir(parents=True, exist_ok=True)
    samples = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    sf.write(path, np.tile(samples[:, None], (1, channels)), rate)
    return len(samples)


def table(path):
    """A table of ``key value...`` lines."""
    return dict(line.split(maxsplit=1) for line in path.read_text().splitlines())
