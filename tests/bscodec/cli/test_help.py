"""``--help``: examples that work, options in groups."""

import argparse
import re
import shlex

import pytest

from espnet2.bin.bscodec import COMMANDS, EPILOG, get_parser
from espnet2.gan_codec.bscodec.cli.examples import EXAMPLES

from ..experiments import write_audio

# Minutes of work, or a hub: these are only parsed, and run by tests of their own.
ONLY_PARSED = ("download", "upload", "demo", "probe", "score", "--form onnx", "exp/mine")


def lines_of(name):
    return [line for _, line in EXAMPLES[name]]


def subparsers():
    (action,) = (a for a in get_parser()._actions if isinstance(a, argparse._SubParsersAction))
    return action.choices


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples_that_parse(bscodec, name):
    result = bscodec(f"{name} --help")
    assert result.status == 0
    printed = re.findall(r"^  (bscodec .*)$", result.out.partition("\nexamples:\n")[2], flags=re.M)
    assert printed == lines_of(name) and printed
    for line in printed:
        words = shlex.split(line)[1:]
        assert words[0] == name
        assert get_parser().parse_args(words).run


def test_the_command_s_own_help_has_examples_that_parse():
    for line in re.findall(r"^  bscodec (.*)$", EPILOG, flags=re.M):
        words = shlex.split(line, comments=True)
        if "--help" not in words:
            assert get_parser().parse_args(words).run


def test_every_option_has_a_text_and_many_options_have_groups():
    for name, parser in subparsers().items():
        for action in parser._actions:
            assert action.help, (name, action.dest)
        options = [a for group in parser._action_groups[2:] for a in group._group_actions]
        if len(parser._actions) > 8:
            assert 2 * len(options) >= len(parser._actions) - 1, name


def test_the_examples_run(bscodec, workplace):
    write_audio("speech.flac", 9000, 16000)
    write_audio("stereo.wav", 9000, 44100, channels=2)
    for i in range(12):
        write_audio(f"recordings/utt{i:02}.wav", 3000 + 100 * i)
    write_audio("recordings/long.wav", 12 * 24000)
    with open("wav.scp", "w") as scp:
        scp.writelines(f"utt{i:02} recordings/utt{i:02}.wav\n" for i in range(12))
    bscodec("encode recordings/long.wav -o damaged.bsc")
    damaged = bytearray((workplace / "damaged.bsc").read_bytes())
    damaged[-8] ^= 1
    (workplace / "damaged.bsc").write_bytes(damaged)
    for name in COMMANDS:
        for line in lines_of(name):
            if any(word in line for word in ONLY_PARSED):
                continue
            if "--merge" in line:
                bscodec("tokenize wav.scp -o jobs --shard 1/2 -j 1")
            here = " -j 1" if name == "tokenize" else ""  # others would not know the tiny models
            result = bscodec(line.removeprefix("bscodec ") + here)
            assert result.status == (3 if "--salvage" in line else 0), f"{line}: {result.err}"
    made = {path.name for path in workplace.iterdir()}
    assert {"speech.bsc", "speech.wav", "low.bsc", "stereo.flac", "left.wav"} <= made
    assert {"coded", "decoded", "tokens", "rows", "jobs", "exp"} <= made
