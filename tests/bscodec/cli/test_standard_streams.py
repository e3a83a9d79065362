"""``-`` is standard input and output, on which there is nothing but data."""

import io
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest
import soundfile

from espnet2.bin.bscodec import main

from ..experiments import assert_one_error, make_noise, tree, write_audio


@pytest.fixture
def pipe(monkeypatch, capsysbinary, workplace):
    """Run a command line on bytes of standard input: status, bytes of output, text of errors."""
    (workplace / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(workplace / "tmp"))

    def run(line, data=b""):
        capsysbinary.readouterr()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        try:
            status = main(line.split())
        except SystemExit as stop:
            status = stop.code
        found = capsysbinary.readouterr()
        assert os.listdir(workplace / "tmp") == []
        return status, found.out, found.err.decode()

    return run


def streamed_wav(path):
    """Bytes of a WAV file as programs write it to a pipe: of lengths that are not known."""
    data = bytearray(open(path, "rb").read())
    at = data.index(b"data")
    data[4:8] = data[at + 4 : at + 8] = b"\xff" * 4
    return bytes(data)


def test_through_pipes_come_the_same_bytes(pipe):
    write_audio("a.wav", 30001, 44100, channels=2)
    assert pipe("encode a.wav -o a.bsc")[0] == 0
    assert pipe("decode a.bsc -o b.wav")[0] == 0
    status, coded, err = pipe("encode - -o -", streamed_wav("a.wav"))
    assert status == 0 and coded == open("a.bsc", "rb").read()
    assert err.startswith("bscodec: note: standard input: resampled from 44100 to 24000 Hz")
    status, audio, err = pipe("decode - -o -", coded)
    assert (status, err) == (0, "") and audio == open("b.wav", "rb").read()
    status, facts, _ = pipe("info - --json", coded)
    facts, expected = json.loads(facts), json.loads(pipe("info a.bsc --json")[1])
    assert status == 0 and facts == {**expected, "file": "standard input"}


def test_one_end_may_be_a_file(pipe):
    write_audio("a.flac")
    status, out, _ = pipe("encode - -o a.bsc", open("a.flac", "rb").read())
    assert status == 0 and out.startswith(b"standard input -> a.bsc: 0.21 s, ")
    assert pipe("encode a.flac -o -")[1] == open("a.bsc", "rb").read()
    assert pipe("decode - -o b.flac", open("a.bsc", "rb").read())[0] == 0
    status, audio, _ = pipe("decode a.bsc -o - --float --rate 48000")
    found = soundfile.info(io.BytesIO(audio))
    assert (found.subtype, found.samplerate, found.frames) == ("FLOAT", 48000, 10000)
    assert tree() == ["a.bsc", "a.flac", "b.flac"]


def test_clipping_is_said_beside_the_data(pipe, monkeypatch):
    from espnet2.gan_codec.bscodec.codec import Codec

    write_audio("a.wav")
    pipe("encode a.wav")
    loud = [np.full(5000, 1.5, np.float32)]
    monkeypatch.setattr(Codec, "decode_blocks", lambda self, blocks, num_samples: iter(loud))
    status, audio, err = pipe("decode a.bsc -o -")
    assert status == 0 and audio[:4] == b"RIFF" and len(audio) == 44 + 2 * 5000
    assert err.startswith("bscodec: note: standard output: 5000 samples clipped at full scale")


@pytest.mark.parametrize(
    ("line", "data", "message", "status"),
    [
        ("encode - -o -", b"", "standard input: the file is empty", 1),
        ("encode - -o -", b"text" * 99, "standard input: not readable as audio", 1),
        ("decode - -o -", b"RIFF....WAVE", "standard input: not a .bsc file", 1),
        ("info -", b"RIFF....WAVE", "standard input: not a .bsc file", 1),
        ("info -", b"", "standard input: the file is empty", 1),
        ("encode gone.wav -o -", b"", "gone.wav: No such file or directory", 1),
        ("encode -", b"", "standard input needs -o", 2),
        ("encode - a.wav -o out", b"", "standard input goes without other inputs", 2),
        ("encode - -o tmp", b"", "-o tmp: standard input needs the name of a file", 2),
        ("encode - -o new/", b"", "-o new/: standard input needs the name of a file", 2),
        ("encode a.wav b.wav -o -", b"", "only a single file goes to standard output", 2),
        ("decode . -o -", b"", "only a single file goes to standard output", 2),
    ],
)
def test_what_fails_is_one_line_and_no_data(pipe, line, data, message, status):
    found, out, err = pipe(line, data)
    assert (found, out, err.count("\n")) == (status, b"", 1)
    assert err.startswith("bscodec: error: ") and message in err and "tmp/" not in err
    assert tree() == []


def test_a_terminal_is_no_place_for_data(bscodec, monkeypatch):
    write_audio("a.wav")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert_one_error(bscodec("encode a.wav -o -"), "standard output is a terminal", status=2)
    monkeypatch.setattr(sys, "stdin", None)
    refused = bscodec("encode - -o a.bsc")
    assert_one_error(refused, "nothing is piped into standard input", status=2)


def start(line, **options):
    command = [sys.executable, "-m", "espnet2.bin.bscodec", *line.split()]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=os.getcwd(), **options
    )


def test_a_pipeline_of_processes(workplace):
    """With the packaged model: encode | decode, as a shell runs them."""
    audio = make_noise(24000)
    soundfile.write("a.wav", audio, 24000)
    encoder = start("encode - -o -", stdin=open("a.wav", "rb"))
    decoder = start("decode - -o - --float", stdin=encoder.stdout)
    encoder.stdout.close()
    out, err = decoder.communicate()
    assert (encoder.wait(), decoder.wait(), err, encoder.stderr.read()) == (0, 0, b"", b"")
    found, rate = soundfile.read(io.BytesIO(out))
    assert (rate, len(found)) == (24000, 24000) and np.abs(found).max() > 0


def test_a_broken_pipe_ends_quietly():
    write_audio("a.wav")
    process = start("encode a.wav -o -")
    process.stdout.close()
    assert process.wait() == 141 and process.stderr.read() == b""
    assert tree() == ["a.wav"]
