"""The installed ESPnet, not a stand-in, knows the codec with nothing imported first."""

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

HELP = ["-m", "espnet2.bin.gan_codec_train", "--help"]


def choices(text: str) -> list[str]:
    """The codecs that ESPnet's --help lists."""
    return re.search(r"--codec \{([\w,\s]+)\}", text).group(1).split(",")


def run(python, *arguments) -> str:
    command = [str(python), *arguments]
    finished = subprocess.run(command, cwd="/", capture_output=True, text=True)
    assert finished.returncode == 0, finished.stderr
    assert "espnet-bscodec" not in finished.stderr
    return finished.stdout


def test_the_task_builds_the_codec():
    from espnet2.gan_codec.bscodec import BSCodec
    from espnet2.tasks.gan_codec import GANCodecTask, codec_choices

    assert codec_choices.get_class("bscodec") is BSCodec
    assert codec_choices.get_class("espnet_bscodec") is BSCodec
    arguments = ["--codec", "BSCodec", "--output_dir", "unused"]
    assert GANCodecTask.get_parser().parse_args(arguments).codec == "bscodec"


def test_the_task_has_our_trainer():
    from espnet2.gan_codec.bscodec.training.trainer import CodecTrainer
    from espnet2.tasks.gan_codec import GANCodecTask

    assert GANCodecTask.trainer is CodecTrainer


def test_the_stock_command_lists_the_codec():
    assert {"bscodec", "espnet_bscodec", "dac"} <= set(choices(run(sys.executable, *HELP)))


@pytest.mark.long
@pytest.mark.parametrize("kind", ["wheel", "editable_wheel"])
@pytest.mark.parametrize("flags", [[], ["-I"]], ids=["plain", "isolated"])
def test_a_fresh_install_is_enough(request, bare_environment, kind, flags):
    python, site_packages = bare_environment
    installed = Path(importlib.metadata.distribution("espnet").locate_file("")).resolve()
    (site_packages / "installed.pth").write_text(f"{installed}\n")
    command = [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps"]
    command += ["--no-index", request.getfixturevalue(kind)]
    subprocess.run([str(part) for part in command], check=True)
    assert "bscodec" in choices(run(python, *flags, *HELP))


WORKER = """\
import multiprocessing

def table():
    from espnet2.tasks.gan_codec import codec_choices
    return tuple(codec_choices.classes)

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        print(pool.apply(table))
"""


@pytest.mark.long
def test_spawned_workers_know_the_codec(tmp_path):
    (tmp_path / "worker.py").write_text(WORKER)
    assert "'bscodec'" in run(sys.executable, str(tmp_path / "worker.py"))
