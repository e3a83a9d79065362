"""Long files and long runs, in processes of their own with the packaged model."""

import os
import signal
import subprocess
import sys

import pytest
import soundfile

from espnet2.gan_codec.bscodec.format.audio import resampled_length

from ..experiments import make_noise, tree, write_audio


def start(line, stdin=None, stdout=subprocess.PIPE):
    command = [sys.executable, "-m", "espnet2.bin.bscodec", *line.split()]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        text=True,
        env=environment,
        preexec_fn=heed_interrupts,
    )


def heed_interrupts():
    """Undo what a shell does to its jobs in the background, whose children inherit it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def write_long_audio(path, seconds, rate, channels):
    block = make_noise(rate, channels)
    with soundfile.SoundFile(path, "w", rate, channels, "PCM_16") as file:
        for _ in range(seconds):
            file.write(block)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_folder_is_resumed(how):
    for name in "ac":
        write_audio(f"in/{name}.wav")
    write_long_audio("in/b.wav", 600, 24000, 1)  # long enough to be caught
    process = start("encode in -o out")
    assert process.stdout.readline().startswith("in/a.wav -> ")
    process.send_signal(how)
    assert process.wait() in (-how, 128 + how)
    finished = [name for name in tree("out") if not name.startswith(".")]
    assert finished == ["a.bsc"] and (how == signal.SIGKILL or tree("out") == finished)
    before = os.stat("out/a.bsc").st_mtime_ns
    write_audio("in/b.wav")
    again = start("encode in -o out")
    assert "3 files: 2 made, 1 already there" in again.stdout.read() and again.wait() == 0
    assert os.stat("out/a.bsc").st_mtime_ns == before
    assert [name for name in tree("out") if name[0] != "."] == ["a.bsc", "b.bsc", "c.bsc"]


def peak_memory(line):
    """Peak resident memory of a command, in MiB."""
    return wait_for_peak(start(line))


def wait_for_peak(process):
    """Peak resident memory of a process, in MiB."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss / 1024


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is another")
def test_memory_does_not_grow_with_length():
    rate, peaks = 44100, {}
    for minutes in (1, 15):
        write_long_audio("a.flac", 60 * minutes, rate, channels=2)
        peaks[minutes] = [
            peak_memory("encode a.flac -o a.bsc --force"),
            peak_memory("decode a.bsc -o a.wav --force"),
        ]
        found = soundfile.info("a.wav")
        assert found.frames == resampled_length(60 * minutes * rate, rate, found.samplerate)
    for short, long in zip(peaks[1], peaks[15], strict=True):
        # the samples alone are 82 MiB as floats, and no layer holds less
        assert long < short + 80


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is another")
def test_memory_of_many_channels_does_not_grow_with_length():
    rate, channels, peaks = 48000, 8, {}
    for minutes in (1, 5):
        write_long_audio("a.wav", 60 * minutes, rate, channels)
        peaks[minutes] = [
            peak_memory("encode a.wav -o a.bsc --channels keep --force"),
            peak_memory("decode a.bsc -o b.wav --rate original --force"),
        ]
        found = soundfile.info("b.wav")
        assert (found.frames, found.channels) == (60 * minutes * rate, channels)
    for short, long in zip(peaks[1], peaks[5], strict=True):
        # four minutes are 176 MiB as floats at the model's rate
        assert long < short + 80


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is another")
def test_memory_of_pipes_does_not_grow_with_length():
    peaks = {}
    for minutes in (1, 20):
        write_long_audio("a.wav", 60 * minutes, 24000, 1)
        peaks[minutes] = []
        for command, source, target in (
            ("encode", "a.wav", "a.bsc"),
            ("decode", "a.bsc", "b.wav"),
        ):
            with open(source, "rb") as read, open(target, "wb") as write:
                process = start(f"{command} - -o -", stdin=read, stdout=write)
                peaks[minutes].append(wait_for_peak(process))
        assert soundfile.info("b.wav").frames == 60 * minutes * 24000
    for short, long in zip(peaks[1], peaks[20], strict=True):
        assert long < short + 60  # the samples are 110 MiB as floats
