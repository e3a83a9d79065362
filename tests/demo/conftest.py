"""A tiny random model, clips for it, and a browser without a window."""

import base64
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

CODEC_CONF = {
    "sampling_rate": 24000,
    "generator_params": {
        "hidden_dim": 8,
        "bands": [[0, 3000], [3000, 12000]],
        "filterbank": "mdct",
        "network": "spectral",
        "spectral_channels": 8,
        "spectral_blocks": 1,
        "quantize_codebook_size": 16,
        "quantize_codebook_dim": 4,
    },
    "use_mel_loss": False,
    "use_spectral_loss": True,
    "discriminator_params": {"msstft_discriminator_params": {"filters": 2}},
}


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """An experiment folder with random weights."""
    from espnet2.gan_codec.bscodec import BSCodec

    folder = tmp_path_factory.mktemp("exp") / "tiny"
    folder.mkdir()
    torch.manual_seed(0)
    weights = {f"codec.{name}": x for name, x in BSCodec(**CODEC_CONF).state_dict().items()}
    torch.save(weights, folder / "1epoch.pth")
    config = {"codec": "bscodec", "codec_conf": CODEC_CONF}
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder


@pytest.fixture(scope="session")
def clips_folder(tmp_path_factory) -> Path:
    """Two short clips; the names and the licence try to break out of the page."""
    folder = tmp_path_factory.mktemp("clips")
    noise = 0.1 * np.random.default_rng(0).standard_normal(9000)
    tone = 0.4 * np.sin(2 * np.pi * 1000 * np.arange(30000) / 44100)
    soundfile.write(folder / "speech_a&b <i>.flac", noise, 24000)
    soundfile.write(folder / "music_tone.wav", np.stack([tone, tone], axis=1), 44100)
    rows = ["clip\tlicence\tattribution\tsource", "music_tone\tCC0-1.0\t<b>A</b> & B\there"]
    (folder / "licences.tsv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="session")
def demo(tiny_model, clips_folder, tmp_path_factory) -> Path:
    """The folder that ``bscodec demo`` has filled."""
    from espnet2.bin.bscodec import main

    out = tmp_path_factory.mktemp("demo") / "new" / "out"
    arguments = ["--model", str(tiny_model), "--clips", str(clips_folder), "--device", "cpu"]
    assert main(["demo", "--out", str(out), *arguments]) == 0
    return out


class Browser:
    """Chromium without a window, spoken to through a pipe in the DevTools protocol.

    Attributes:
        events: all that it has reported, as (method, params).
    """

    def __init__(self, program: str, profile: Path) -> None:
        # Chromium reads descriptor 3 and writes 4.
        from_test, self._to = os.pipe()
        self._from, to_test = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        flags += ["--remote-debugging-pipe", "--no-first-run", "--disable-background-networking"]
        flags += ["--autoplay-policy=no-user-gesture-required", f"--user-data-dir={profile}"]
        redirect = f'exec "$@" 3<&{from_test} 4>&{to_test}'
        self._process = subprocess.Popen(
            ["bash", "-c", redirect, "bash", program, *flags],
            pass_fds=(from_test, to_test),
            stderr=subprocess.DEVNULL,
        )
        os.close(from_test)
        os.close(to_test)
        self._input = os.fdopen(self._from, "rb")
        self._session: str | None = None
        self._last_id = 0
        self.events: list[tuple[str, dict]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        attached = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: object) -> dict:
        """Give a command and wait for its answer; what is reported before lands in events."""
        self._last_id += 1
        message = {"id": self._last_id, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        while True:
            answer = json.loads(self._read())
            if answer.get("id") == self._last_id:
                assert "error" not in answer, answer["error"]
                return answer["result"]
            self.events.append((answer["method"], answer["params"]))

    def _read(self) -> bytes:
        message = bytearray()
        while (byte := self._input.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            message += byte
        return bytes(message)

    def open(self, page: Path) -> None:
        """Load a page and wait until all of it is there."""
        self.call("Page.navigate", url=page.as_uri())
        self.wait("document.readyState == 'complete' && location.protocol == 'file:'")

    def evaluate(self, expression: str) -> object:
        """Return the value of a JavaScript expression; a promise is waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, expression: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        end = time.monotonic() + seconds
        while not self.evaluate(expression):
            assert time.monotonic() < end, f"still not true: {expression}"
            time.sleep(0.05)

    def resize(self, width: int, height: int, dark: bool = False) -> None:
        """Take the size of a screen in CSS pixels, and the user's liking for dark pages."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def screenshot(self, path: Path) -> None:
        """Write what is to be seen as PNG."""
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self._session = None
        self.call("Browser.close")
        self._process.wait(timeout=30)
        self._input.close()
        os.close(self._to)


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
