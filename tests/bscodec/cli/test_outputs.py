"""Where an output goes without ``-o``, and that no input is ever overwritten."""

import os
from pathlib import Path

import pytest

from ..experiments import assert_one_error, tree, write_audio


def test_a_single_file_goes_beside_its_input(bscodec):
    write_audio("deep/a.b.flac")
    encoded = bscodec("encode deep/a.b.flac")
    assert encoded.out.startswith("deep/a.b.flac -> deep/a.b.bsc: ")
    assert bscodec("decode deep/a.b.bsc").out == "deep/a.b.bsc -> deep/a.b.wav: 0.21 s\n"
    assert tree() == ["deep/a.b.bsc", "deep/a.b.flac", "deep/a.b.wav"]


def test_what_is_beside_it_is_not_overwritten_unasked(bscodec):
    write_audio("a.wav")
    bscodec("encode a.wav")
    assert_one_error(bscodec("encode a.wav"), "a.bsc: is there already (--force overwrites)")
    before = open("a.wav", "rb").read()
    assert_one_error(bscodec("decode a.bsc"), "a.wav: is there already (--force overwrites)")
    assert open("a.wav", "rb").read() == before
    assert bscodec("decode a.bsc --force").status == 0
    assert open("a.wav", "rb").read() != before


def copy(source, target):
    with open(source, "rb") as file, open(target, "wb") as other:
        other.write(file.read())


@pytest.mark.parametrize(
    ("line", "alias"),
    [
        ("decode x.wav", None),
        ("decode x.wav -o x.wav", None),
        ("decode x.wav -o ./../{here}/x.wav", None),
        ("decode x.wav -o link.wav", os.symlink),
        ("decode x.wav -o link.wav", os.link),
        ("encode x.bsc", None),
        ("encode x.bsc -o x.bsc", None),
    ],
)
@pytest.mark.parametrize("force", ["", " --force"])
def test_its_own_input_is_never_overwritten(bscodec, workplace, line, alias, force):
    write_audio("a.wav")
    bscodec("encode a.wav")
    copy("a.bsc", "x.wav")  # a name that makes it its own output
    copy("a.wav", "x.bsc")
    if alias:
        alias("x.wav", "link.wav")
    before = {name: open(name, "rb").read() for name in tree()}
    result = bscodec(line.format(here=workplace.name) + force)
    assert_one_error(result, "is an input, which is never overwritten")
    assert {name: open(name, "rb").read() for name in tree()} == before


def test_the_input_of_another_job_is_not_overwritten_either(bscodec):
    write_audio("a.wav")
    write_audio("out/b.bsc.wav")
    os.rename("out/b.bsc.wav", "out/a.bsc")  # audio, whatever its name
    before = open("out/a.bsc", "rb").read()
    result = bscodec("encode a.wav out/a.bsc -o out --force")
    assert result.status == 2 and "would both become out/a.bsc" in result.err
    os.rename("out/a.bsc", "out/c.bsc")
    os.symlink("c.bsc", "out/a.bsc")
    result = bscodec("encode a.wav out/c.bsc -o out --force")
    assert result.status == 1 and len(result.errors) == 2
    assert "out/a.bsc: is an input, which is never overwritten" in result.errors[0]
    assert open("out/c.bsc", "rb").read() == before


@pytest.mark.parametrize("options", ["", "--force"])
def test_a_pipe_in_the_place_of_an_output_stays_one(bscodec, options):
    write_audio("a.wav")
    os.mkfifo("a.bsc")
    result = bscodec(f"encode a.wav -o a.bsc {options}")
    assert_one_error(result, "a.bsc: is a pipe or device, not a regular file")
    assert Path("a.bsc").is_fifo()
