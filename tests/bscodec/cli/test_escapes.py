"""Names and tags that would act on a terminal are printed escaped."""

import dataclasses
import json
import os

import pytest

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec.cli.jobs import one_line
from espnet2.gan_codec.bscodec.format.audio import AudioError
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.format.escapes import escaped, escaped_json

from ..experiments import write_audio

NASTY = "a\x1b[31m\n\x9b2J\u202egnp.wav"
SHOWN = r"a\x1b[31m\n\x9b2J\u202egnp.wav"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (NASTY, SHOWN),
        ("plain name.wav", "plain name.wav"),
        ("Grüße, 你好, שלום, نمی\u200cخواهم, \u3000", "Grüße, 你好, שלום, نمی\u200cخواهم, \u3000"),
        ("\r\t\x00\x7f\u2028\u2029", r"\r\t\x00\x7f\u2028\u2029"),
        (os.fsdecode(b"a\xff"), r"a\udcff"),
        ("\U000e0001", r"\U000e0001"),
    ],
)
def test_what_acts_on_a_terminal_is_escaped(text, shown):
    assert escaped(text) == shown
    assert json.loads(escaped_json(json.dumps(text, ensure_ascii=False))) == text
    assert escaped_json(json.dumps(text, ensure_ascii=False)).isascii() or shown == text


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (AudioError(f"{NASTY}: the file is empty"), f"{SHOWN}: the file is empty"),
        (
            FileNotFoundError(2, "No such file or directory", NASTY),
            f"{SHOWN}: No such file or dir",
        ),
        (ValueError("of torch:\n  a\x1b[0m\n"), r"of torch: a\x1b[0m"),
        (ValueError(), "ValueError"),
    ],
)
def test_errors_are_one_line(error, line):
    assert one_line(error).startswith(line)


def test_an_os_error_without_a_reason_is_not_called_none():
    error = OSError("it would not")
    error.filename = "ps.wav"
    assert one_line(error) == "ps.wav: it would not"


def said(capsys, *words):
    """The status of a command, and what it printed, of which every character is harmless."""
    capsys.readouterr()
    status = main([*words])
    captured = capsys.readouterr()
    lines = (captured.out + captured.err).split("\n")
    assert all(line == escaped(line) for line in lines)
    return status, captured


def test_commands_print_names_escaped(capsys):
    write_audio("b.wav", 30000, 16000, channels=2)
    os.rename("b.wav", NASTY)
    coded = f"{NASTY[:-4]}.bsc"
    status, captured = said(capsys, "encode", NASTY, "-o", coded)
    assert status == 0 and captured.out.startswith(f"{SHOWN} -> {SHOWN[:-4]}.bsc: ")
    assert captured.err.startswith(f"bscodec: note: {SHOWN}: resampled from 16000 to 24000 Hz")
    status, captured = said(capsys, "encode", NASTY, "-o", coded)
    assert (status, captured.err.count("\n")) == (1, 1) and f"{SHOWN[:-4]}.bsc: is" in captured.err
    status, captured = said(capsys, "info", coded)
    assert status == 0 and captured.out.startswith(f"file      {SHOWN[:-4]}.bsc\n")
    status, captured = said(capsys, "info", "--json", coded)
    assert json.loads(captured.out)["file"] == coded
    for words in (["encode", f"x{NASTY}", "-o", "c.bsc"], ["encode", NASTY, "-o", f"{NASTY}.mp3"]):
        status, captured = said(capsys, *words)
        assert status in (1, 2) and SHOWN in captured.err and captured.err.count("\n") == 1
    os.truncate(NASTY, 5000)
    status, captured = said(capsys, "encode", NASTY, "-o", "out/", "--salvage")
    assert status == 0 and f"{SHOWN}: salvaged" in captured.err


def test_tags_of_models_are_printed_escaped(bscodec, capsys):
    write_audio("a.wav")
    bscodec("encode a.wav -o a.bsc")
    tag = "m\x1b]0;owned\x07\n"
    dataclasses.replace(EncodedAudio.load("a.bsc"), model=tag).save("b.bsc")
    status, captured = said(capsys, "info", "b.bsc")
    assert status == 0 and r"model     m\x1b]0;owned\x07\n (fingerprint " in captured.out
    status, captured = said(capsys, "info", "--json", "b.bsc")
    assert json.loads(captured.out)["model"] == tag
    status, captured = said(capsys, "decode", "b.bsc", "-o", "b.wav")
    assert status == 1 and r"made by the model 'm\x1b]0;owned\x07\n'" in captured.err


def test_wrong_options_are_printed_escaped(capsys):
    with pytest.raises(SystemExit):
        main(["encode", "a.wav", "-o", "b.bsc", "--device", "\x1b[2J"])
    assert "\x1b" not in capsys.readouterr().err
