"""``bscodec demo --serve``: what is wrong is one line, and a real browser can use it."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec.demo import serve

COMMAND = [sys.executable, "-m", "espnet2.bin.bscodec", "demo", "--serve", "--device", "cpu"]


def test_without_gradio_it_says_how_to_get_it(tiny_model, capsys, monkeypatch):
    monkeypatch.setattr(serve, "find_spec", lambda name: None)
    assert main(["demo", "--serve", "--model", str(tiny_model)]) == 1
    assert "pip install 'espnet-bscodec[serve]'" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["70000", "-1", "http"])
def test_a_port_that_is_none_is_a_usage_error(port, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["demo", "--serve", f"--port={port}"])
    assert stop.value.code == 2 and "from 0 to 65535" in capsys.readouterr().err


@pytest.fixture
def served(tiny_model, tmp_path):
    """The address of a running page, the process, and where it keeps files."""
    pytest.importorskip("gradio")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [*COMMAND, "--model", str(tiny_model), "--port", "0"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        address = re.match(r"(http://127\.0\.0\.1:\d+/): open", process.stdout.readline())
        yield address[1], process, tmp_path
        process.kill()


@pytest.mark.long
def test_a_taken_port_is_one_line(tiny_model):
    pytest.importorskip("gradio")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        command = [*COMMAND, "--model", str(tiny_model), "--port", port]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"bscodec: error: 127.0.0.1:{port}: cannot be served: ")


@pytest.mark.long
def test_a_browser_codes_mutes_and_gets_told_and_nothing_stays(served, browser, clips_folder):
    address, process, temporary = served
    visit(browser, address)
    inside = "document.querySelector('#view iframe')?.contentDocument"
    sides = f"[...({inside}?.querySelectorAll('audio') ?? [])]"
    pictures = f"[...{inside}.querySelectorAll('img')].map((picture) => picture.src).slice(0, 2)"

    upload(browser, clips_folder / "music_tone.wav")
    browser.wait(f"{sides}.length == 3 && {sides}.every((side) => side.duration > 0.67)", 60)
    before = browser.evaluate(pictures)
    browser.evaluate("document.querySelectorAll('input[type=checkbox]')[1].click()")
    browser.wait(f"{sides}.length == 3 && String({pictures}) != '{','.join(before)}'", 60)
    after = browser.evaluate(pictures)
    assert after[0] == before[0] and after[1] != before[1]

    bad = temporary / "no <audio>.wav"
    bad.write_bytes(b"RIFF" + bytes(100))
    visit(browser, address)  # as another visitor, who sees nothing of the first one's
    assert browser.evaluate(f"{sides}.length") == 0
    upload(browser, bad)
    browser.wait("document.querySelector('#view [role=alert]') !== null", 60)
    message = browser.evaluate("document.querySelector('#view [role=alert]').textContent")
    assert message.startswith("no") and str(temporary) not in message and "\n" not in message

    asked = [e["request"]["url"] for method, e in browser.events if method.endswith("WillBeSent")]
    assert all(url.startswith((address, "data:", "blob:", "about:")) for url in asked)
    thrown = [event for event in browser.events if event[0] == "Runtime.exceptionThrown"]
    assert thrown == []
    process.send_signal(signal.SIGINT)
    process.wait(timeout=30)
    assert not list(temporary.glob("bscodec-demo-*"))


def visit(browser, address: str) -> None:
    """Load the page."""
    browser.evaluate("document.body.replaceChildren()")
    browser.call("Page.navigate", url=address)
    browser.wait("document.querySelectorAll('input[type=file]').length > 0", 60)


def upload(browser, path: Path) -> None:
    """Choose a file in the page's first place for one."""
    root = browser.call("DOM.getDocument", depth=-1)["root"]["nodeId"]
    found = browser.call("DOM.querySelector", nodeId=root, selector="input[type=file]")
    browser.call("DOM.setFileInputFiles", nodeId=found["nodeId"], files=[str(path)])
