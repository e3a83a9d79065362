"""A download that is killed: the next run goes on, to the same files, and nothing else is left."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio

from ..experiments import write_audio, write_experiment

NAME = "someone/tiny"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
WEIGHTS = "valid.mel_loss.best.pth"
COMMAND = [sys.executable, "-W", "ignore", "-m", "espnet2.bin.bscodec", "encode", "a.wav"]


def etag(path):
    data = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()  # git's


class Hub(ThreadingHTTPServer):
    """A hub of one repository, which pauses after ``pause_at`` bytes of the weights."""

    def __init__(self, folder):
        super().__init__(("127.0.0.1", 0), Answer)
        self.folder, self.pause_at, self.paused = folder, None, threading.Event()
        self.go_on = threading.Event()


class Answer(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        there = sorted(self.server.folder.iterdir())
        if self.path.startswith(f"/api/models/{NAME}/tree/"):
            entries = [
                {"type": "file", "path": p.name, "size": p.stat().st_size, "oid": etag(p)}
                for p in there
            ]
            return self.give(json.dumps(entries).encode(), body)
        if self.path.startswith(f"/api/models/{NAME}"):
            names = [{"rfilename": p.name} for p in there]
            facts = {"id": NAME, "sha": COMMIT, "siblings": names}
            return self.give(json.dumps(facts).encode(), body)
        path = self.server.folder / self.path.rpartition("/")[2]
        if "/resolve/" in self.path and path.is_file():
            return self.give(path.read_bytes(), body, etag(path))
        return self.send_error(404)

    def give(self, data, body, tag="facts"):
        name = self.path.rpartition("/")[2]
        begin = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        self.send_response(206 if begin else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("ETag", f'"{tag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Accept-Ranges", "bytes")
        if begin:
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.send_header("Content-Length", str(len(data) - begin))
        self.end_headers()
        if not body:
            return
        pause_at = self.server.pause_at if name == WEIGHTS else None
        if pause_at is not None:
            self.wfile.write(data[begin:pause_at])
            self.wfile.flush()
            self.server.paused.set()
            self.server.go_on.wait(60)
            begin = pause_at
        try:
            self.wfile.write(data[begin:])
        except OSError:
            pass  # who asked is gone


@pytest.fixture
def hub(tmp_path, monkeypatch):
    write_experiment(tmp_path / "repository")
    with Hub(tmp_path / "repository") as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")
        monkeypatch.setenv("HF_HUB_OFFLINE", "0")
        monkeypatch.chdir(tmp_path)
        write_audio("a.wav")
        yield server
        server.go_on.set()
        server.shutdown()


def files(folder):
    """Files that a cache holds, without locks and records of the client's own."""
    found = (path for path in Path(folder).rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def start(home):
    environment = {**os.environ, "HF_HOME": str(home), "NO_PROXY": "127.0.0.1"}
    line = [*COMMAND, "-o", f"{home.name}.bsc", "--model", NAME]
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    # a shell has what it starts in the background ignore SIGINT
    return subprocess.Popen(
        line,
        env=environment,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        **pipes,
    )


@pytest.mark.parametrize(
    ("kind", "seed"),
    [
        (signal.SIGKILL, 0),
        (signal.SIGTERM, 1),
        (signal.SIGINT, 2),
        *(pytest.param(signal.SIGKILL, seed, marks=pytest.mark.long) for seed in range(3, 8)),
    ],
)
def test_a_download_is_killed_and_goes_on(hub, tmp_path, kind, seed):
    size = (hub.folder / WEIGHTS).stat().st_size
    hub.pause_at = random.Random(seed).randrange(size)
    running = start(tmp_path / "killed")
    assert hub.paused.wait(120), running.communicate()
    running.send_signal(kind)
    running.communicate(timeout=60)
    assert running.returncode in (-kind, 128 + kind) and not Path("killed.bsc").exists()
    hub.go_on.set()
    hub.pause_at = None
    for name in ("killed", "whole"):
        done = start(tmp_path / name)
        _, said = done.communicate(timeout=120)
        assert done.returncode == 0, said
    assert files("killed") == files("whole")
    assert EncodedAudio.load("killed.bsc") == EncodedAudio.load("whole.bsc")
