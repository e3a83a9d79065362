"""What is left after writers that ended well, failed or were killed."""

import os
import signal
import subprocess
import sys

import pytest

from espnet2.gan_codec.bscodec.format import atomic
from espnet2.gan_codec.bscodec.format.atomic import (
    atomic_write,
    create_temporary,
    temporary_folder,
)

WRITER = """
import sys, time
from espnet2.gan_codec.bscodec.format.atomic import atomic_write

with atomic_write(sys.argv[1]) as temporary:
    temporary.write_text("half")
    print("ready", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path):
    """A process that is in the midst of writing ``a``."""
    command = [sys.executable, "-c", WRITER, str(tmp_path / "a")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def write(path, text="whole"):
    atomic._cleaned.clear()  # as a new process
    with atomic_write(path) as temporary:
        temporary.write_text(text)


def test_what_a_killed_writer_left_is_removed_by_the_next(tmp_path, writer):
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(names(tmp_path)) == 1 and names(tmp_path)[0].startswith(".bscodec-")
    write(tmp_path / "b")
    assert names(tmp_path) == ["b"]


def test_a_killed_writer_s_folder_too(tmp_path):
    code = "import os, sys\nfrom espnet2.gan_codec.bscodec.format.atomic import temporary_folder\n"
    code += "with temporary_folder(sys.argv[1]) as made:\n (made / 'a').touch()\n os._exit(9)"
    subprocess.run([sys.executable, "-c", code, str(tmp_path)])
    (left,) = tmp_path.iterdir()
    assert names(left) == ["a"]
    atomic._cleaned.clear()
    with temporary_folder(tmp_path) as made:
        assert list(tmp_path.iterdir()) == [made]
        write(tmp_path / "b")
        assert made.exists(), "of a writer that lives"
    assert names(tmp_path) == ["b"]


def test_what_is_being_written_is_left_alone(tmp_path, writer):
    write(tmp_path / "b")
    assert len(names(tmp_path)) == 2
    with create_temporary(tmp_path / "c") as mine:
        write(tmp_path / "d")
        assert os.path.exists(mine.name)


def test_other_hidden_files_are_left_alone(tmp_path):
    for name in (".bscodec-notes", ".x.tmp", "bscodec-1.tmp"):
        (tmp_path / name).write_text("")
    write(tmp_path / "b")
    assert names(tmp_path) == [".bscodec-notes", ".x.tmp", "b", "bscodec-1.tmp"]


@pytest.mark.parametrize("length", [1, 200, 242, 255])
def test_names_of_any_length_that_the_file_system_takes(tmp_path, length):
    write(tmp_path / ("n" * length))
    assert names(tmp_path) == ["n" * length]


def test_a_failure_leaves_what_was_there(tmp_path):
    write(tmp_path / "a", "old")
    with pytest.raises(RuntimeError), atomic_write(tmp_path / "a") as temporary:
        temporary.write_text("new")
        raise RuntimeError
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"
