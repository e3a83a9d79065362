"""What the pages show runs as it stands there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec.demo.clips import SHIPPED
from tests.bscodec.experiments import write_experiment
from tests.hub_server import TOKEN

ROOT = Path(__file__).resolve().parents[2]
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


def blocks(page, kind):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{kind}\n(.*?)^```", text, flags=re.M | re.S)


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with a mono and a stereo recording."""
    clip = Path(SHIPPED) / "speech_tux_be.flac"
    shutil.copy(clip, tmp_path / "speech.flac")
    audio, rate = soundfile.read(clip)
    soundfile.write(tmp_path / "stereo.wav", np.stack([audio, audio[::-1]], axis=1), rate)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shell(script, **options):
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        capture_output=True, text=True, env={**os.environ, "PATH": PATH}, **options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def run_here(capsys, monkeypatch):
    """Run lines of ``bscodec`` in this process; return what they print."""

    def run(lines):
        capsys.readouterr()
        for line in lines:
            words = shlex.split(line, comments=True)
            monkeypatch.setattr(sys, "argv", words)  # ESPnet looks at it
            assert main(words[1:]) == 0, f"{line}: {capsys.readouterr().err}"
        return capsys.readouterr().out

    return run


def test_quick_start(desk, run_here, capsys):
    (desk / "espnet2").symlink_to(ROOT / "espnet2")
    install, *others = blocks("quick_start.md", "sh")
    assert "doctor" in install
    lines = "".join(others).splitlines()
    assert (
        lines.pop(0).startswith("cp espnet2/") and shell(others[0].splitlines()[0], cwd=desk) == ""
    )
    printed = run_here([line for line in lines if not line.startswith("bscodec demo")])
    (shown,) = blocks("quick_start.md", "text")
    newer = re.compile(r"(?<=fingerprint )\w+")  # weights may be others one day
    assert newer.sub("", shown) in newer.sub("", printed)
    assert soundfile.info("low.wav").frames == soundfile.info("speech.wav").frames
    (code,) = blocks("quick_start.md", "python")
    capsys.readouterr()
    exec(code, {})
    shapes = re.findall(r"print\(.*# (\(.*?\))", code)
    assert capsys.readouterr().out.splitlines() == shapes


def test_python(desk):
    names = {}
    for code in blocks("python.md", "python"):
        exec(code, names)
    assert names["lowest"].shape == names["decoded"].shape
    assert len(names["original"]) == len(names["audio"])
    assert len(names["low"].codes) == 4
    assert len(names["latents"]) == 5
    assert Path("speech.wav").exists()


def test_questions(desk, run_here):
    (desk / "recordings").mkdir()
    shutil.copy("speech.flac", "recordings")
    printed = run_here("".join(blocks("faq.md", "sh")).splitlines())
    lengths = [soundfile.info(name).frames for name in ("stereo.wav", "same.wav")]
    assert lengths[0] == lengths[1]
    low, lower, whole = (
        Path(name).stat().st_size for name in ("low.bsc", "lower.bsc", "speech.bsc")
    )
    assert lower < low < whole
    assert "nominal" in printed and "on disk" in printed
    assert Path("flat/meta.json").exists() and Path("tokens/meta.json").exists()


def test_models(desk, hub, run_here, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    write_experiment(desk / "exp/mine")
    for name in ("owner/name", "you/theirs"):
        repository = hub.add(name, desk / "exp/mine")
        repository.refs["v1.0"] = repository.refs["main"]
    (desk / "scores").mkdir()
    scores = {"systems": {"mine": {"domains": {"speech": {"metrics": {"mel": {"mean": 0.7}}}}}}}
    (desk / "scores/summary.json").write_text(json.dumps(scores))
    printed = run_here("".join(blocks("models.md", "sh")).splitlines())
    assert "bscodec-mini" in printed and printed.count("uploaded: ") == 2
    assert Path("exp/theirs/config.yaml").exists()
    assert "refs/pr/1" in hub.repositories["you/theirs"].refs
    assert hub.repositories["me/my-codec"].commits
