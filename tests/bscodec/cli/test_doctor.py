"""``bscodec doctor``, and what the shell is told for completion."""

import os
import shutil
import subprocess
import sys

import pytest

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec import doctor
from espnet2.gan_codec.bscodec.hub.error import ModelError


def findings(capsys, status=0):
    """Print the findings; return {topic: (status, text)}."""
    assert main(["doctor"]) == status
    lines = capsys.readouterr().out.splitlines()
    assert "\x1b" not in "".join(lines)  # no terminal
    return {line[7:19].strip(): (line[:7].strip(), line[19:]) for line in lines}


def test_all_that_every_use_needs_is_here(capsys):
    found = findings(capsys)
    needed = ["plug-in", "ESPnet", "CPU", "GPU", "cache", "model", "[demo]"]
    assert {topic: found[topic][0] for topic in needed} == dict.fromkeys(needed, "ok")
    assert "bscodec-mini, fingerprint" in found["model"][1]


def test_what_is_missing_comes_with_how_to_get_it(capsys, monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    real = doctor.metadata.version

    def version(name):
        if name in ("auraloss", "jinja2"):
            raise doctor.metadata.PackageNotFoundError(name)
        return real(name)

    monkeypatch.setattr(doctor.metadata, "version", version)
    found = findings(capsys)
    assert found["ffmpeg"][0] == "lacks" and "apt-get install ffmpeg" in found["ffmpeg"][1]
    assert found["[demo]"] == (
        "lacks", "not here: auraloss, jinja2 (pip install 'espnet-bscodec[demo]')"
    )  # fmt: skip


def test_what_every_use_needs_and_is_broken_is_an_error(capsys, monkeypatch):
    from espnet2.gan_codec.bscodec.codec import Codec

    def fail(*args, **kwargs):
        raise ModelError("bscodec-mini: damaged")

    monkeypatch.setattr(Codec, "from_pretrained", fail)
    monkeypatch.setattr(doctor.importlib.util, "find_spec", lambda name: None)
    found = findings(capsys, status=1)
    assert found["model"] == ("FAILS", "ModelError: bscodec-mini: damaged (install it again)")
    assert found["plug-in"][0] == "FAILS" and found["cache"][0] == "ok"


@pytest.mark.parametrize(
    "line, expected",
    [
        ("bscodec de", {"decode", "demo"}),
        ("bscodec encode --sal", {"--salvage"}),
        ("bscodec encode --model bs", {"bscodec-mini"}),
    ],
)
def test_the_shell_completes(tmp_path, line, expected):
    answer = tmp_path / "answer"
    ask = {"_ARGCOMPLETE": "1", "_ARGCOMPLETE_IFS": "\n", "_ARGCOMPLETE_STDOUT_FILENAME": answer}
    ask |= {"COMP_LINE": line, "COMP_POINT": str(len(line)), "COMP_TYPE": "9"}
    command = [sys.executable, "-W", "ignore", "-m", "espnet2.bin.bscodec"]
    env = {**os.environ, **{name: str(value) for name, value in ask.items()}}
    subprocess.run(command, env=env, cwd=tmp_path, check=True)
    assert {word.strip() for word in answer.read_text().split("\n")} >= expected
