"""Signals and files that the tests of audio reading share."""

import shutil
import subprocess

import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.format.audio import AudioError, AudioReader


def make_noise(num_samples=30000, channels=1, seed=0):
    """(num_samples, channels) float64 of 16 bits."""
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, (num_samples, channels))
    return np.round(noise * 32768) / 32768


def write(path, signal, rate=24000, **options):
    soundfile.write(path, signal, rate, **options)
    return path


def read(path, salvage=False):
    """All samples of a file, (T, C), and what was found wrong."""
    with AudioReader(path, salvage) as reader:
        return np.concatenate(list(reader.blocks())), reader.problems


def refusal(path):
    """The line that refuses a file, without its name."""
    with pytest.raises(AudioError) as error:
        read(path)
    name, _, reason = str(error.value).partition(f"{path}: ")
    assert name == "" and reason and "\n" not in reason
    return reason


def join(target, *sources):
    target.write_bytes(b"".join(source.read_bytes() for source in sources))
    return target


def run(*command):
    """Run a program from Debian; skip the test where that, or what it should do, is missing."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    done = subprocess.run([*map(str, command)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"{command[0]} cannot: {done.stderr.decode(errors='replace')[-200:]}")
    return done.stdout


def ffmpeg(*arguments):
    return run("ffmpeg", "-nostdin", "-v", "error", "-y", *arguments)
