"""What holds for every test: one thread (small models gain nothing from more), and what is lent:
GPUs, a browser and a hub, to those that ask.
"""

import os
import resource
import shutil
from pathlib import Path

import pytest
from hypothesis import settings

from .browser import Browser
from .hub_server import Hub

# Before torch is imported, and for the processes that tests start.
for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

settings.register_profile("default", deadline=None)  # no test is a matter of time
settings.load_profile("default")


def pytest_collection_modifyitems(items):
    needy = [item for item in items if item.get_closest_marker("cuda")]
    if needy:
        import torch

        if not torch.cuda.is_available():
            for item in needy:
                item.add_marker(pytest.mark.skip(reason="no GPU here"))


@pytest.fixture
def little_memory():
    """4 GiB more than there is now: what claims terabytes fails at once if it is believed."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (4 << 30), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.fixture
def browser(tmp_path):
    """A fresh Chromium; the test is skipped where there is none."""
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium here")
    chromium = Browser(program, tmp_path / "profile")
    yield chromium
    chromium.close()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A Hugging Face hub that this process and those it starts use, and an empty cache."""
    from huggingface_hub import constants

    cache = tmp_path / "hf"
    with Hub() as server:
        environment = {
            "HF_ENDPOINT": server.url,
            "HF_HOME": str(cache),
            "HF_HUB_DISABLE_XET": "1",  # it would go to the real hub's storage
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        # read from the environment when the client was imported
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache / "hub"))
        monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(cache / "token"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        yield server
