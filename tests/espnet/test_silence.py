"""What ESPnet's tasks import for other ends neither asks the network nor prints to our users."""

import os
import subprocess
import sys

import pytest

NO_NETWORK = """\
import runpy, socket, sys
def refuse(*args, **kwargs):
    print("the network was tried", file=sys.stderr)
    raise OSError("no network")
socket.getaddrinfo = socket.socket.connect = refuse
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def run(tmp_path):
    """Run a module with arguments, without data of nltk's and without a network."""

    def call(*words):
        command = [sys.executable, "-W", "ignore", "-c", NO_NETWORK, *words]
        env = {**os.environ, "HOME": str(tmp_path), "NLTK_DATA": str(tmp_path), "PYTHONPATH": ""}
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-2000:]
        return done

    return call


def test_export_prints_its_line_alone(run):
    done = run("espnet2.bin.bscodec", "export", "bscodec-mini", "-o", "mini")
    assert done.stdout.startswith("mini: fingerprint ") and done.stdout.count("\n") == 1
    assert done.stderr == ""


@pytest.mark.parametrize("name", ["gan_codec_train", "gan_codec_inference"])
def test_stock_commands_download_nothing(run, name):
    done = run(f"espnet2.bin.{name}", "--help")
    text = done.stdout + done.stderr
    assert "nltk" not in text and "the network was tried" not in text
