"""Which checkpoint stages 6 to 9 take when none is named."""

import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "egs2/bscodec/codec1/scripts/stages_eval.sh"
CODE = """
set -eu
need() { [ -e "$1" ] || { echo "missing: $1" >&2; exit 1; }; }
. "$1"
codec_exp=$2
inference_model=
inference_tag=any
find_model
echo "${inference_model}"
"""


def chosen(folder):
    return subprocess.run(
        ["bash", "-c", CODE, "bash", SCRIPT, folder], capture_output=True, text=True
    )


@pytest.mark.parametrize(
    "present, expected",
    [
        (["valid.mel_loss.best.pth", "3epoch.pth"], "valid.mel_loss.best.pth"),
        (["valid.spectral_loss.best.pth", "3epoch.pth"], "valid.spectral_loss.best.pth"),
        (["my_model.pth", "valid.mel_loss.best.pth"], "my_model.pth"),
    ],
)
def test_choice(tmp_path, present, expected):
    folder = tmp_path / "codec_my_model_raw_fs24000"
    folder.mkdir()
    for name in ["config.yaml", *present]:
        (folder / name).touch()
    assert chosen(folder).stdout.strip() == expected


def test_nothing_there_names_the_usual_one(tmp_path):
    folder = tmp_path / "codec_my_model_raw_fs24000"
    folder.mkdir()
    (folder / "config.yaml").touch()
    run = chosen(folder)
    assert run.returncode != 0 and "valid.mel_loss.best.pth" in run.stderr
