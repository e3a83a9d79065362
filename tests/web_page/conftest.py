"""The page as `make page` builds it, served as a static host does, open in a browser."""

import functools
import os
import re
import shutil
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
CLIPS = REPOSITORY / "espnet2/gan_codec/bscodec/demo/clips"
COMPLAINTS = ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown")


def node_version() -> tuple[int, ...]:
    """Of the Node on the PATH; (0,): there is none."""
    if shutil.which("node") is None:
        return (0,)
    run = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True)
    return tuple(map(int, re.findall(r"\d+", run.stdout)))


@pytest.fixture(scope="session")
def node():
    """Run a module of JavaScript that sees ``page/src`` as ``SRC``; returns what it prints."""
    if node_version() < (20, 19):
        pytest.skip("no Node.js of version 20.19 or newer here")

    def run(code: str, *arguments: object) -> str:
        code = code.replace("SRC", (REPOSITORY / "page/src").as_uri())
        command = ["node", "--input-type=module", "-e", code, "--", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    return run


@pytest.fixture(scope="session")
def built():
    """The folder of the page; $BSCODEC_PAGE names one that is built already."""
    if "BSCODEC_PAGE" in os.environ:
        return Path(os.environ["BSCODEC_PAGE"]).resolve()
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        pytest.skip("no Chromium here")
    command = [REPOSITORY / ".ci/page", Path(sys.executable).parent]
    run = subprocess.run(command, capture_output=True, text=True)
    if run.returncode and "npm error network" in run.stderr:
        pytest.skip("npm's packages cannot be had here")
    assert run.returncode == 0, run.stdout + run.stderr
    return REPOSITORY / "build/page"


@contextmanager
def serve(folder: Path):
    """Serve a folder on this machine; yields its URL."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    handler = functools.partial(Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class OpenPage:
    """The page in a browser: what a user does, and what is there to see."""

    def __init__(self, browser, url: str, folder: Path) -> None:
        self.browser, self.url, self.folder = browser, url, folder
        folder.mkdir()
        browser.resize(1200, 1000)
        browser.call("Page.addScriptToEvaluateOnNewDocument", source=LISTENER)
        browser.open(url)
        browser.wait(f"{text('status')}.startsWith('Ready')", 120)

    def evaluate(self, expression: str):
        return self.browser.evaluate(expression)

    def click(self, selector: str) -> None:
        self.evaluate(f"document.querySelector({selector!r}).click()")

    def code(self, file: Path, seconds: float = 120) -> None:
        """Choose a file and wait until it is coded."""
        self.browser.choose("#file", file)
        self.browser.wait(
            f"{text('name')} == {file.name!r} && {text('status')} == 'Done.'", seconds
        )

    def refuse(self, file: Path) -> str:
        """Choose a file and return what the page says against it."""
        self.browser.choose("#file", file)
        self.browser.wait("!document.getElementById('error').hidden", 60)
        return self.evaluate(text("error"))

    def saved(self, suffix: str, name: str) -> Path:
        """Download the ``.bsc`` or ``.wav`` file."""
        click = f"document.getElementById('save-{suffix}').click()"
        return self.browser.download(click, self.folder, f"{name}.{suffix}")

    def picture(self, selector: str) -> str:
        """The pixels of a canvas, as a data URL."""
        return self.evaluate(f"document.querySelector({selector!r}).toDataURL()")

    def loudness(self) -> float:
        """Root mean square of what has just gone to the loudspeaker."""
        return self.evaluate("heard()")

    def check_quiet(self) -> None:
        """No console line, no error, and no request but to the server itself."""
        self.evaluate("0")  # takes in what is still to be reported
        assert [event for event in self.browser.events if event[0] in COMPLAINTS] == []
        asked = [p["request"]["url"] for m, p in self.browser.events if m.endswith("WillBeSent")]
        assert any(url.endswith(".onnx") for url in asked)
        assert [
            u for u in asked if not u.startswith((self.url, f"blob:{self.url}", "data:"))
        ] == []


# an ear at the loudspeaker
LISTENER = """
const connect = AudioNode.prototype.connect;
AudioNode.prototype.connect = function (target, ...rest) {
  if (target instanceof AudioDestinationNode) {
    if (!window.ear) window.ear = new AnalyserNode(target.context, { fftSize: 4096 });
    connect.call(this, window.ear);
  }
  return connect.call(this, target, ...rest);
};
function heard() {
  const samples = new Float32Array(4096);
  window.ear.getFloatTimeDomainData(samples);
  return Math.sqrt(samples.reduce((sum, x) => sum + x * x, 0) / samples.length);
}
"""


def text(name: str) -> str:
    """An expression for the text of an element."""
    return f"document.getElementById({name!r}).textContent"


@pytest.fixture
def page(built, browser, tmp_path):
    """The page with its model loaded."""
    with serve(built) as url:
        yield OpenPage(browser, url, tmp_path / "downloads")
