"""SIGKILL and SIGTERM at any moment: the next run makes what an undisturbed one makes, no more.

Half of the moments are random times of a run; half are file operations of it, counted, of which
one is chosen at random, so that the short times between a write and a rename are met as well.
"""

import multiprocessing
import os
import random
import shutil
import signal
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from espnet2.bin.bscodec import COMMANDS as COMMANDS_OF_OURS
from espnet2.gan_codec.bscodec.format import atomic

from .bscodec.experiments import tree, write_audio, write_experiment
from .espnet.test_trainer import CONFIG

CONTEXT = multiprocessing.get_context("forkserver")  # what is imported is there in each run
CONTEXT.set_forkserver_preload(
    [
        *("torch._dynamo", "librosa.filters", "safetensors.torch"),  # else imported in each
        *(f"espnet2.gan_codec.bscodec.cli.{name}" for name in COMMANDS_OF_OURS),
        "espnet2.gan_codec.bscodec.codec",
        "espnet2.gan_codec.bscodec.tokens.workers",
        "espnet2.gan_codec.scoring.run",
        "espnet2.tasks.gan_codec",
    ]
)
FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
MODEL = "exp/tiny"
COMMANDS = {
    "encode": f"encode in -o out/bsc --model {MODEL}",
    "decode": f"decode bsc -o out/wav --model {MODEL}",
    "tokenize": f"tokenize in -o out/tokens --model {MODEL} --nj 1 --shard-size 1",
    "score": "score --ref in --hyp us=in --domain speech --metrics SI-SDR --outdir out "
    "--no-report",
    "export": f"export {MODEL} -o out/model",
    "archive": f"export {MODEL} -o out/model --archive",
    "train": "--config train.yaml --output_dir out/exp --ngpu 0 --resume true",
}
SLOW = ("score", "archive", "train")  # start other processes, or take long
SHORT, LONG = range(2), range(2, 24)


def cases():
    for command in COMMANDS:
        for kind in (signal.SIGKILL, signal.SIGTERM):
            for seed in (*SHORT, *LONG):
                is_default = seed in SHORT[: 1 if command in SLOW else 2]
                marks = () if is_default else pytest.mark.long
                name = f"{command}-{kind.name}-{seed}"
                yield pytest.param(command, kind, seed, marks=marks, id=name)


def perform(folder, command, moment, kind):
    """Run a command in ``folder``; the ``moment``-th file operation is preceded by a signal."""
    os.chdir(folder)
    with open("said", "wb") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    count = 0

    def count_files(event, _):
        nonlocal count
        if event in FILE_EVENTS:
            count += 1
            if count == moment:
                os.kill(os.getpid(), kind)

    atomic._cleaned.clear()
    sys.addaudithook(count_files)
    if command == "train":
        from espnet2.tasks.gan_codec import GANCodecTask

        GANCodecTask.main(cmd=COMMANDS[command].split())
        status = 0
    else:
        from espnet2.bin.bscodec import main

        status = main(COMMANDS[command].split())
    events = count
    Path("events").write_text(str(events))
    sys.exit(status)


def run(folder, command, moment=0, kind=signal.SIGKILL, seconds=None):
    """Run a command in a process; with ``seconds``, send the signal after so long."""
    process = CONTEXT.Process(target=perform, args=(folder, command, moment, kind))
    process.start()
    process.join(seconds)
    if seconds is not None and process.is_alive():
        os.kill(process.pid, kind)
    process.join(120)
    assert process.exitcode is not None
    return process.exitcode


def prepare(folder):
    """Make inputs of all commands; the same, whenever it is done."""
    write_experiment(folder / MODEL)
    for i, name in enumerate("abc"):
        write_audio(folder / f"in/{name}.wav", 9000 + i)
    data = {}
    lines = [f"{name} {folder}/in/{name}.wav\n" for name in "abc"]
    (folder / "wav.scp").write_text("".join(lines))
    (folder / "shape").write_text("".join(f"{n} {9000 + i}\n" for i, n in enumerate("abc")))
    for part in ("train", "valid"):
        data[f"{part}_data_path_and_name_and_type"] = [[f"{folder}/wav.scp", "audio", "sound"]]
        data[f"{part}_shape_file"] = [f"{folder}/shape"]
    short = {"max_epoch": 2, "batch_size": 4}
    plain = {"use_matplotlib": False, "use_tensorboard": False}
    (folder / "train.yaml").write_text(yaml.safe_dump({**CONFIG, **data, **plain, **short}))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Give the folder after a run of a command, its file operations, and its seconds."""
    inputs = tmp_path_factory.mktemp("inputs")
    prepare(inputs)
    assert run(inputs, "encode") == 0
    shutil.move(inputs / "out/bsc", inputs / "bsc")
    shutil.rmtree(inputs / "out")
    known = {}

    def get(command):
        if command not in known:
            shutil.rmtree(inputs / "out", ignore_errors=True)
            begun = time.monotonic()
            assert run(inputs, command) == 0, (inputs / "said").read_text()
            seconds = time.monotonic() - begun
            result = inputs.parent / f"{inputs.name}-{command}"
            (inputs / "out").rename(result)
            known[command] = (inputs, result, int((inputs / "events").read_text()), seconds)
        return known[command]

    return get


def contents(folder):
    """What every file below a folder holds, without dates and times of the run."""
    return {name: comparable(folder / name) for name in tree(folder)}


def comparable(path):
    if path.suffix == ".pth" and path.name == "checkpoint.pth":
        state = torch.load(path, weights_only=False)
        return {"epoch": state["reporter"]["epoch"], "model": numbers(state["model"])}
    if path.suffix == ".pth":
        return numbers(torch.load(path))
    if path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        meta = yaml.safe_load(files.pop("meta.yaml"))
        del meta["timestamp"]
        return files, meta
    return path.read_bytes()


def numbers(weights):
    return {key: np.asarray(value).tobytes() for key, value in weights.items()}


@pytest.mark.parametrize(("command", "kind", "seed"), list(cases()))
def test_a_run_is_ended_at_any_moment_and_the_next_one_finishes(undisturbed, command, kind, seed):
    inputs, expected, events, seconds = undisturbed(command)
    chance = random.Random(f"{command} {kind} {seed}")
    shutil.rmtree(inputs / "out", ignore_errors=True)
    if seed % 2:
        code = run(inputs, command, kind=kind, seconds=chance.uniform(0, seconds))
    else:
        code = run(inputs, command, moment=chance.randint(1, events), kind=kind)
    said = (inputs / "said").read_text() if (inputs / "said").exists() else ""
    assert code in (0, -kind, 128 + kind) and "Traceback" not in said, said
    if kind == signal.SIGTERM and command != "train" and (inputs / "out").exists():
        assert not [name for name in tree(inputs / "out") if ".tmp" in name]
    assert run(inputs, command) == 0, (inputs / "said").read_text()
    found, wanted = contents(inputs / "out"), contents(expected)
    assert sorted(found) == sorted(wanted)
    assert [name for name in wanted if found[name] != wanted[name]] == []
