"""The command run in this process, in an empty folder, with tiny models as the packaged ones."""

import shlex
import signal

import pytest

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec.cli import file_work
from espnet2.gan_codec.bscodec.hub import resolver
from espnet2.gan_codec.bscodec.hub.export import package_model

from ..experiments import write_experiment


@pytest.fixture(scope="session")
def pretrained(tmp_path_factory):
    """Packaged models: tiny ones in the place of those that come with the package."""
    folder = tmp_path_factory.mktemp("models")
    for seed, tag in enumerate(["bscodec-mini", "other"]):
        write_experiment(folder / "exp" / tag, seed=seed)
        package_model(str(folder / "exp" / tag), folder / "pretrained" / tag)
    return folder / "pretrained"


@pytest.fixture(autouse=True)
def workplace(tmp_path, monkeypatch, pretrained):
    """An empty current folder."""
    monkeypatch.setattr(resolver, "PRETRAINED", pretrained)
    monkeypatch.setattr(file_work, "HERE_SECONDS", 1e9)  # on a busy machine, too
    monkeypatch.chdir(tmp_path)
    handler = signal.getsignal(signal.SIGTERM)
    yield tmp_path
    signal.signal(signal.SIGTERM, handler)


class Result:
    """What a run of the command gave."""

    def __init__(self, status, captured):
        self.status, self.out, self.err = status, captured.out, captured.err

    @property
    def errors(self):
        return [line for line in self.err.splitlines() if line.startswith("bscodec: error: ")]

    @property
    def notes(self):
        return [line for line in self.err.splitlines() if line.startswith("bscodec: note: ")]


@pytest.fixture
def bscodec(capsys, monkeypatch):
    """Run a command line, without its first word, in this process."""

    def run(line):
        capsys.readouterr()
        try:
            words = shlex.split(line)
            monkeypatch.setattr("sys.argv", ["bscodec", *words])  # as a shell has it
            status = main(words)
        except SystemExit as stop:
            status = stop.code
        result = Result(status, capsys.readouterr())
        assert "Traceback" not in result.err
        return result

    return run
