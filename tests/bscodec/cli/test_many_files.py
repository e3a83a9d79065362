"""Folders to folders: bad files do not stop the others, and finished ones are skipped."""

import errno
import os

import pytest

from ..experiments import assert_one_error, tree, write_audio


def test_folder_to_folder_and_back(bscodec):
    for name in ("a.flac", "b.wav", "deep/er/c.ogg"):
        write_audio(f"in/{name}")
    for name in ("in/notes.txt", "in/.hidden.wav"):
        open(name, "w").close()
    encoded = bscodec("encode in -o bsc")
    assert (encoded.status, encoded.err) == (0, "")
    assert encoded.out.splitlines()[-1] == "3 files: 3 made"
    assert tree("bsc") == ["a.bsc", "b.bsc", "deep/er/c.bsc"]
    assert bscodec("decode bsc -o out").status == 0
    assert tree("out") == ["a.wav", "b.wav", "deep/er/c.wav"]


def test_several_files_go_into_a_folder_of_stems(bscodec):
    write_audio("x/a.wav")
    write_audio("y/b.wav")
    assert bscodec("encode x/a.wav y/b.wav -o out").status == 0
    assert tree("out") == ["a.bsc", "b.bsc"]


def test_conversion_is_said_once_in_a_run(bscodec):
    for name in "abc":
        write_audio(f"in/{name}.wav", rate=16000)
    assert len(bscodec("encode in -o out").notes) == 1


def test_bad_files_are_named_and_the_others_are_made(bscodec):
    write_audio("in/a.wav")
    write_audio("in/c.wav")
    open("in/b.wav", "w").close()
    result = bscodec("encode in missing.wav -o out")
    assert result.status == 1 and tree("out") == ["a.bsc", "c.bsc"]
    assert result.errors == [
        "bscodec: error: in/b.wav: the file is empty",
        "bscodec: error: missing.wav: No such file or directory",
    ]
    assert result.out.splitlines()[-1] == "4 files: 2 made, 2 failed"


def test_second_run_skips_what_is_finished(bscodec):
    for name in "abc":
        write_audio(f"in/{name}.wav")
    bscodec("encode in -o bsc")
    os.remove("bsc/b.bsc")
    again = bscodec("encode in -o bsc")
    line = "3 files: 1 made, 2 already there and skipped (--force makes them again)"
    assert again.status == 0 and again.out.splitlines()[-1] == line
    bscodec("decode bsc -o wav")
    os.remove("wav/c.wav")
    assert bscodec("decode bsc -o wav").out.splitlines()[-1] == line
    assert bscodec("decode bsc -o wav --force").out.splitlines()[-1] == "3 files: 3 made"


def make_older(path):
    past = os.stat(path).st_mtime - 1000
    os.utime(path, (past, past))


@pytest.mark.parametrize(
    ("option", "change", "message"),
    [
        ("", lambda: make_older("bsc/a.bsc"), "older than its input"),
        ("", lambda: open("bsc/a.bsc", "w").close(), "is no finished .bsc file"),
        ("--model other", lambda: None, "of another model or with other bands"),
        ("--bands 1", lambda: None, "of another model or with other bands"),
    ],
)
def test_stale_encodings_are_not_passed_over(bscodec, option, change, message):
    write_audio("in/a.wav")
    bscodec("encode in -o bsc")
    change()
    result = bscodec(f"encode in -o bsc {option}")
    assert_one_error(result, f"bsc/a.bsc: is there already, but {message} (--force overwrites)")
    assert bscodec(f"encode in -o bsc --force {option}").status == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: make_older("wav/a.wav"), "older than its input"),
        (lambda: open("wav/a.wav", "w").close(), "is no finished audio file"),
        (lambda: write_audio("wav/a.wav", 4999), "of another length or rate"),
    ],
)
def test_stale_decodings_are_not_passed_over(bscodec, change, message):
    write_audio("in/a.wav")
    bscodec("encode in -o bsc")
    bscodec("decode bsc -o wav")
    change()
    assert_one_error(bscodec("decode bsc -o wav"), f"wav/a.wav: is there already, but {message}")


def test_full_disk_stops_the_run_and_leaves_nothing(bscodec, monkeypatch):
    from espnet2.gan_codec.bscodec.format import bitstream

    for name in "abc":
        write_audio(f"in/{name}.wav")

    def write_block(self, codes):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(bitstream.BscWriter, "_write_block", write_block)
    result = bscodec("encode in -o out")
    assert_one_error(result, "out/a.bsc: No space left on device")
    assert result.out == "3 files: 0 made, 1 failed, 2 not tried\n" and tree("out") == []
