"""What the README shows runs as it stands there."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec.demo.clips import SHIPPED

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, flags=re.M | re.S)
COMMANDS = [
    line for kind, block in BLOCKS if kind == "sh" for line in block.splitlines()
    if line.startswith("bscodec ")
]  # fmt: skip


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the files that the README's examples name."""
    clip = Path(SHIPPED) / "speech_tux_be.flac"
    shutil.copy(clip, tmp_path / "speech.flac")
    (tmp_path / "recordings").mkdir()
    shutil.copy(clip, tmp_path / "recordings")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_commands(desk, capsys):
    assert len(COMMANDS) >= 7
    for command in COMMANDS:
        words = shlex.split(command, comments=True)
        assert main(words[1:]) == 0, f"{command}: {capsys.readouterr().err}"
    made = {path.relative_to(desk).as_posix() for path in desk.rglob("*.*")}
    assert {"speech.bsc", "speech.wav", "coded/speech_tux_be.bsc", "low.bsc", "low.wav"} <= made
    assert (desk / "low.bsc").stat().st_size < (desk / "speech.bsc").stat().st_size


def test_python(desk):
    code = "".join(block for kind, block in BLOCKS if kind == "python")
    names = {}
    exec(code, names)
    assert names["decoded"].shape == names["lowest"].shape
    assert (desk / "speech.bsc").exists()


def test_files_and_targets_exist():
    for target in re.findall(r"\]\(([^)#:]+)\)", README):
        assert (ROOT / target).exists(), target
    for config in re.findall(r"`(train_\w+)`", README):
        assert (ROOT / "conf" / f"{config}.yaml").exists(), config
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:^|`)make ([\w-]+)", README, flags=re.M):
        assert re.search(rf"^{target}:", makefile, flags=re.M), target
