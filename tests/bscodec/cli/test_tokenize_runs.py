"""Many processes or jobs, a kill, a second run, damage: the files are always the same."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from espnet2.gan_codec.bscodec.cli import tokenize
from espnet2.gan_codec.bscodec.cli.encode import load_codec
from espnet2.gan_codec.bscodec.tokens import read_tokens
from espnet2.gan_codec.bscodec.tokens.metadata import TokensError

from ..experiments import assert_one_error, tree, write_experiment
from .corpus import contents, write_corpus


@pytest.fixture
def corpus(workplace):
    write_corpus()
    return workplace


def test_any_number_of_processes_and_jobs_makes_the_same_files(bscodec, corpus):
    write_experiment(corpus / "model")
    Path("bad.wav").write_bytes(b"no audio")
    with open("wav.scp", "a") as file:
        file.write("bad bad.wav\n")
    line = "tokenize wav.scp -o out --model model --shard-size 3 --device cpu --nj"
    bscodec(f"{line} 1")
    expected = contents("out")
    os.rename("out", "old")
    assert "with 2 processes" in bscodec(f"{line} 2").out and contents("out") == expected
    os.rename("out", "old-too")
    for job in (3, 1, 2):
        assert bscodec(f"{line} 1 --shard {job}/3").status == 0
        assert not Path("out/meta.json").exists()
    assert bscodec(f"{line} 1 --merge").status == 0
    assert contents("out") == expected


def test_a_log_tells_progress_and_the_time_left(bscodec, corpus, monkeypatch):
    monkeypatch.setattr(tokenize, "LOG_SECONDS", 0)
    lines = bscodec("tokenize wav.scp -o out --nj 1 --shard-size 4").out.splitlines()
    progress = r"8 of 11 utterances, [\d.]+ hours of audio per hour, [\d.]+ s left"
    assert re.fullmatch(progress, lines[1]) and len(lines) == 5


def test_an_error_in_a_process_is_one_line(bscodec, corpus, monkeypatch):
    write_experiment(corpus / "model")

    def load_and_change(name, *options):
        codec = load_codec(name, *options)
        write_experiment(corpus / "model", seed=1)
        return codec

    monkeypatch.setattr(tokenize, "load_codec", load_and_change)
    result = bscodec("tokenize wav.scp -o out --model model --nj 2 --device cpu --shard-size 3")
    assert result.status == 1 and result.errors == [
        "bscodec: error: model: has changed during the run"
    ]
    assert tree("out") == []


def test_merging_too_early_is_refused(bscodec, corpus):
    bscodec("tokenize wav.scp -o out --shard 1/2 --nj 1 --shard-size 3")
    assert_one_error(
        bscodec("tokenize wav.scp -o out --merge"), "out/shards/codes.00002.ark: missing"
    )
    with pytest.raises(TokensError, match="unfinished"):
        read_tokens("out")


def test_second_run_makes_nothing(bscodec, corpus):
    bscodec("tokenize wav.scp -o out --nj 1")
    before, times = (
        contents("out"),
        {p: p.stat().st_mtime_ns for p in Path("out/shards").iterdir()},
    )
    again = bscodec("tokenize wav.scp -o out --nj 1")
    assert again.status == 0 and again.out.splitlines()[0] == "11 utterances are there already"
    assert contents("out") == before
    assert times == {p: p.stat().st_mtime_ns for p in Path("out/shards").iterdir()}


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_run_goes_on_to_the_same_files(bscodec, corpus, kind):
    write_experiment(corpus / "model")
    paths = [line.split()[1] for line in open("wav.scp")]
    wait = ["", "", "", *["while [ -e gate ]; do sleep 0.1; done; "] * 8]
    entries = [f"{command}cat {path} |" for command, path in zip(wait, paths, strict=True)]
    Path("wav.scp").write_text("".join(f"utt{i} {entry}\n" for i, entry in enumerate(entries)))
    Path("gate").touch()
    line = "tokenize wav.scp -o out --model model --shard-size 1 --device cpu --allow-commands"
    command = [sys.executable, "-m", "espnet2.bin.bscodec", *line.split(), "--nj", "2"]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while running.poll() is None and len(list(Path("out").glob("shards/*.json"))) < 3:
        time.sleep(0.01)
    running.send_signal(kind)
    assert running.wait() != 0
    settle("out/shards")
    os.remove("gate")
    assert len(list(Path("out").glob("shards/*.json"))) == 3
    assert not Path("out/meta.json").exists()
    if kind == signal.SIGTERM:
        assert not list(Path("out/shards").glob(".*"))
    again = bscodec(f"{line} --nj 1")
    assert again.status == 0 and "3 utterances are there already\n8 utterances co" in again.out
    resumed = contents("out")
    os.rename("out", "old")
    bscodec(f"{line} --nj 1")
    assert resumed == contents("out")


def settle(folder):
    """Wait until the processes of a killed run have ended as well: nothing is written any more."""
    before = None
    while (now := sorted(os.listdir(folder))) != before:
        before = now
        time.sleep(1)


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["codes.00002.ark", "codes.00002.json"])
@pytest.mark.parametrize(
    "harm", [damage, lambda path: path.write_bytes(path.read_bytes()[:-9]), os.remove]
)
def test_a_damaged_shard_is_found_and_made_again(bscodec, corpus, name, harm):
    bscodec("tokenize wav.scp -o out --nj 1 --shard-size 4")
    before = contents("out")
    harm(Path("out/shards", name))
    if not name.endswith("json"):
        with pytest.raises((TokensError, OSError)):
            read_tokens("out")["utt5"]
        assert np.array_equal(read_tokens("out")["utt0"], read_tokens("out", verify=False)["utt0"])
    assert bscodec("tokenize wav.scp -o out --merge").status == 1
    again = bscodec("tokenize wav.scp -o out --nj 1")
    assert again.status == 0 and "7 utterances are there already\n4 utterances coded" in again.out
    assert contents("out") == before


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--model other", "has model bscodec-mini, not other"),
        ("--bands 1", "has bands ((0.0, 1200.0), (1200.0, 12000.0)), not ((0"),
        ("--format npz", "has format ark, not npz"),
        ("--shard-size 5", "has shard size 10, not 5"),
    ],
)
def test_shards_of_another_kind_are_refused(bscodec, corpus, option, message):
    bscodec("tokenize wav.scp -o out --nj 1")
    before = contents("out")
    result = bscodec(f"tokenize wav.scp -o out --nj 1 {option}")
    assert_one_error(result, f"out/shards/codes.00001.json: is there already, but {message}")
    assert contents("out") == before
    assert bscodec(f"tokenize wav.scp -o out --nj 1 --force {option}").status == 0
    os.rename("out", "forced")
    bscodec(f"tokenize wav.scp -o out --nj 1 {option}")
    shards = [name for name in tree("out") if name.startswith("shards/")]
    assert tree("out") == tree("forced")
    assert all(contents("out")[name] == contents("forced")[name] for name in shards)


def test_a_job_looks_at_the_first_shard_and_its_own(bscodec, corpus):
    line = "tokenize wav.scp --shard-size 3 --nj 1"
    bscodec(f"{line} -o out")
    bscodec(f"{line} -o other --format npz")
    shutil.copy("other/shards/codes.00003.json", "out/shards")
    message = "out/shards/codes.00003.json: is there already, but has format npz, not ark"
    assert bscodec(f"{line} -o out --shard 2/2").status == 0
    for mine in ("--shard 1/2", "--merge", ""):
        assert_one_error(bscodec(f"{line} -o out {mine}"), message)
    result = bscodec(f"{line} -o out --shard 2/2 --format npz")
    assert_one_error(result, "out/shards/codes.00001.json: is there already, but has format ark")


def test_only_shards_whose_lines_have_changed_are_made_again(bscodec, corpus):
    bscodec("tokenize wav.scp -o out --nj 1 --shard-size 3")
    lines = Path("wav.scp").read_text().splitlines(keepends=True)
    Path("wav.scp").write_text("".join([*lines[:4], "utt4 in/utt2.wav\n", *lines[5:8]]))
    result = bscodec("tokenize wav.scp -o out --nj 1")
    assert "3 utterances are there already\n5 utterances coded" in result.out
    tokens = read_tokens("out")
    assert np.array_equal(tokens["utt4"], tokens["utt2"]) and "utt9" not in tokens
    assert [name for name in tree("out/shards") if "00004" in name] == []


PLAN = """
import resource
from pathlib import Path
from espnet2.gan_codec.bscodec.tokens.manifest import open_manifest
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
manifest = open_manifest(Path("wav.scp"), Path("."), None)
print(manifest.count, len(manifest.shards), peak() - before)
"""


def test_planning_holds_a_few_bytes_a_line(workplace):
    count = 500_000
    with open("wav.scp", "w") as file:
        file.writelines(f"speaker{i % 99}-utt{i} /some/where/utt{i}.flac\n" for i in range(count))
    done = subprocess.run([sys.executable, "-c", PLAN], capture_output=True, text=True, check=True)
    lines, shards, kibibytes = map(int, done.stdout.split())
    assert (lines, shards) == (count, 500) and kibibytes < 50 * 1024
