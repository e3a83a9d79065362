"""A browser without a window."""

import base64
import json
import os
import subprocess
import time
from pathlib import Path


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
        flags += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
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
        for domain in ("Page", "Runtime", "Log", "Network", "DOM"):
            self.call(f"{domain}.enable")
        self.call(
            "Target.setAutoAttach", autoAttach=True, waitForDebuggerOnStart=True, flatten=True
        )

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
            if "method" in answer:
                self.events.append((answer["method"], answer["params"]))
                self._follow(answer)

    def _follow(self, event: dict) -> None:
        """Have a worker's requests and errors reported as well, before it begins."""
        if event["method"] != "Target.attachedToTarget" or not self._session:
            return
        worker = event["params"]["sessionId"]
        for method in ("Network.enable", "Runtime.enable", "Runtime.runIfWaitingForDebugger"):
            message = {"id": 0, "method": method, "params": {}, "sessionId": worker}
            os.write(self._to, json.dumps(message).encode() + b"\0")

    def _read(self) -> bytes:
        message = bytearray()
        while (byte := self._input.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            message += byte
        return bytes(message)

    def open(self, page: Path | str) -> None:
        """Load a page, a file or a URL, and wait until all of it is there."""
        url = page if isinstance(page, str) else page.as_uri()
        self.call("Page.navigate", url=url)
        scheme = url.partition(":")[0]
        self.wait(f"document.readyState == 'complete' && location.protocol == '{scheme}:'")

    def choose(self, selector: str, file: Path) -> None:
        """Give a file to an <input type="file">."""
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", files=[str(file)], nodeId=node)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key; ``code``: the number that Windows has for it."""
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            event = {"type": kind, "key": key, "windowsVirtualKeyCode": code, **typed}
            self.call("Input.dispatchKeyEvent", **event)

    def download(self, expression: str, folder: Path, name: str) -> Path:
        """Evaluate what starts a download, wait for it, and return the file."""
        self.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder))
        self.evaluate(expression)
        end = time.monotonic() + 60
        while not (folder / name).exists():
            assert time.monotonic() < end, f"{name} did not come: {list(folder.iterdir())}"
            time.sleep(0.05)
        return folder / name

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
