"""One line for whatever goes wrong, and nothing left behind."""

import os
import re
import subprocess
import sys
from importlib.metadata import version

import pytest

from espnet2.bin.bscodec import COMMANDS
from espnet2.gan_codec.bscodec.cli import file_work, jobs

from ..experiments import assert_one_error, tree, write_audio


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "required: COMMAND"),
        ("recode a.wav", "invalid choice: 'recode'"),
        ("encode a.wav in/a.flac", "several files need -o/--output, the folder to write them to"),
        ("encode in", "several files need -o/--output"),
        ("tokenize in", "required: -o/--output"),
        (
            "encode a.wav -o out.mp3",
            "-o out.mp3: expected a name in .bsc, or a folder ending in /",
        ),
        ("encode a.wav -o out", "-o out: expected a name in .bsc, or a folder ending in /"),
        ("decode a.bsc -o out.mp3", "expected a name in .wav or .flac"),
        ("encode a.wav b.wav -o a.wav", "-o a.wav: several files need a folder"),
        ("encode a.wav in/a.flac -o out", "a.wav and in/a.flac would both become out/a.bsc"),
        ("encode empty -o out", "empty: this folder holds no audio files"),
        ("encode a.wav -o b.bsc --bands one", "--bands: invalid int value: 'one'"),
        ("encode a.wav -o b.bsc --bands 1 --max-hz 9", "not allowed with argument"),
        ("encode a.wav -o b.bsc --device tpu", "invalid choice: 'tpu'"),
        ("encode in -o out -j 0", "-j/--nj: 0: expected a number above 0"),
        (f"decode in -o out -j {10**30}", "expected at most 4096"),
        (f"tokenize in -o out -j {2**62}", "expected at most 4096"),
        (f"score --ref in --hyp in --outdir s -j {2**62}", "expected at most 4096"),
    ],
)
def test_wrong_command_lines_are_one_line(bscodec, line, message):
    write_audio("a.wav")
    write_audio("in/a.flac")
    os.mkdir("empty")
    assert_one_error(bscodec(line), message, status=2)
    assert tree() == ["a.wav", "in/a.flac"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("encode gone.wav -o b.bsc", "gone.wav: No such file or directory"),
        ("encode a.wav -o nowhere/b.bsc", "nowhere/b.bsc: No such file or directory"),
        ("encode a.wav -o b.bsc --bands 3", "3 bands: the model has 2"),
        ("encode a.wav -o b.bsc --max-hz 100", "no band ends at or below 100 Hz"),
        ("encode text.wav -o b.bsc", "text.wav: not readable as audio"),
        ("decode a.wav -o b.wav", "a.wav: not a .bsc file"),
        ("decode gone.bsc -o b.wav", "gone.bsc: No such file or directory"),
        ("info a.wav", "a.wav: not a .bsc file"),
        ("info gone.bsc", "gone.bsc: No such file or directory"),
        ("info .", ".: Is a directory"),
    ],
)
def test_wrong_files_are_one_line(bscodec, line, message):
    write_audio("a.wav")
    with open("text.wav", "w") as file:
        file.write("no audio\n" * 9)
    assert_one_error(bscodec(line), message)
    assert tree() == ["a.wav", "text.wav"]


def test_missing_gpu_is_one_line(bscodec, monkeypatch):
    import torch

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    write_audio("a.wav")
    refused = bscodec("encode a.wav -o b.bsc --device cuda")
    assert_one_error(refused, "device 'cuda': torch sees no such GPU here")


def test_interrupt_is_one_line_and_leaves_nothing(bscodec, monkeypatch):
    from espnet2.gan_codec.bscodec.codec import Codec

    def interrupt(self, blocks, num_bands):
        raise KeyboardInterrupt

    monkeypatch.setattr(Codec, "encode_blocks", interrupt)
    write_audio("a.wav")
    assert_one_error(bscodec("encode a.wav -o a.bsc"), "interrupted", status=130)
    assert tree() == ["a.wav"]


def run_python(code, **options):
    # The tiny models of these tests do not follow into another process.
    return subprocess.Popen([sys.executable, "-c", code], text=True, **options)


@pytest.mark.parametrize("line", ["--help", "--version", "models", "info a.bsc"])
def test_quick_commands_do_not_import_torch(bscodec, line):
    write_audio("a.wav")
    bscodec("encode a.wav -o a.bsc")
    code = f"""
import sys
from espnet2.bin.bscodec import main
try:
    main({line.split()!r})
finally:
    assert not {{"torch", "librosa", "soundfile"}} & set(sys.modules)
"""
    assert run_python(code, stdout=subprocess.DEVNULL).wait() == 0


def test_closed_pipe_is_no_error():
    code = "import sys; from espnet2.bin.bscodec import main; sys.exit(main(['models']))"
    process = run_python(code, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.wait() == 141 and process.stderr.read() == ""


def test_terminated_run_leaves_nothing():
    code = """
import sys, time
from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.cli import info
from espnet2.bin.bscodec import main

def run(args):
    with atomic_write("a.bsc") as temporary:
        temporary.touch()
        print("ready", flush=True)
        time.sleep(60)

info.run = run
sys.exit(main(["info", "a.bsc"]))
"""
    process = run_python(code, stdout=subprocess.PIPE)
    assert process.stdout.readline() == "ready\n" and len(tree()) == 1
    process.terminate()
    assert process.wait() == 143 and tree() == []


def test_help_names_every_command(bscodec):
    text = bscodec("--help").out
    assert all(name in text for name in COMMANDS)
    assert all(bscodec(f"{name} --help").status == 0 for name in COMMANDS)


def test_version_names_what_it_stands_on(bscodec, monkeypatch):
    import torch

    numbers = re.search(
        r"^bscodec (\S+) \(ESPnet (\S+), torch (\S+)\)\n$", bscodec("--version").out
    )
    assert numbers and numbers[3] == torch.__version__.partition("+")[0]
    assert numbers[1] == version("espnet-bscodec") and numbers[2] == version("espnet")
    monkeypatch.setattr(sys, "path", [])
    missing = bscodec("--version")
    assert missing.status == 0 and "torch not installed" in missing.out


def test_long_files_have_a_progress_bar_on_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    plan = jobs.JobList([jobs.Job("a", "b")], many=False, into_folder=False)
    with file_work._progress_bar(plan, lambda job: 59.0) as short:
        assert short.disable
    with file_work._progress_bar(plan, lambda job: 61.0) as long:
        assert not long.disable and long.total == 61
