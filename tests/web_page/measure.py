"""Measure the page against the package, and take its picture.

``python -m tests.web_page.measure`` prints how many codes differ from the package's and how fast
the page was, for the demo's clips, for ten minutes of them at changing loudness, and at other
rates; it writes ``docs/images/page.png``. The page has to be built.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile
import soxr
from PIL import Image

from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.demo.exported import near_ties
from espnet2.gan_codec.bscodec.format.audio import resample
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from tests.browser import Browser
from tests.web_page.conftest import CLIPS, REPOSITORY, OpenPage, serve, text

PICTURE = REPOSITORY / "docs/images/page.png"
MINUTES = 10
FACTORS = (
    "[...document.querySelectorAll('#facts dd')].slice(3).map((dd) => parseFloat(dd.textContent))"
)


class Row:
    """What is counted of one kind of input."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.codes = self.differing = self.ties = 0
        self.factors: list[tuple[float, float]] = []

    def add(self, page: OpenPage, codec: Codec, path: Path) -> None:
        """Code a file by the page and by the package."""
        page.code(path, 600)
        saved = page.saved("bsc", path.stem)
        ours = EncodedAudio.load(saved)
        saved.unlink()
        samples, rate = soundfile.read(path, dtype="float32")
        theirs = codec.encode(samples, rate)
        audio = np.concatenate(list(resample([samples], rate, codec.sampling_rate)))
        self.codes += theirs.codes.size
        self.differing += int((ours.codes != theirs.codes).sum())
        self.ties += near_ties(codec, audio, theirs.codes, ours.codes)
        self.factors.append(tuple(page.evaluate(FACTORS)))

    def __str__(self) -> str:
        encode, decode = np.median(self.factors, axis=0)
        counts = f"{self.differing} of {self.codes} | {self.ties}"
        return f"| {self.name} | {counts} | {encode:.0f}x | {decode:.0f}x |"


def at_rate(samples: np.ndarray, rate: int, path: Path) -> Path:
    soundfile.write(path, soxr.resample(samples, 24000, rate, quality="VHQ"), rate, "FLOAT")
    return path


def measure(page: OpenPage, folder: Path) -> None:
    """Print the table."""
    codec = Codec.from_pretrained("bscodec-mini", "cpu")
    clips = sorted(CLIPS.glob("*.flac"))
    sounds = [soundfile.read(clip, dtype="float32")[0] for clip in clips]
    print("| input | codes that differ | near-ties | encodes | decodes |")
    print("|---|---|---|---|---|")
    row = Row("the demo's twelve clips")
    for clip in clips:
        row.add(page, codec, clip)
    print(row, flush=True)
    row = Row(f"{MINUTES} minutes of them, each time 2 dB quieter")
    rounds = [x * 10 ** (-turn / 10) for turn in range(20) for x in sounds]
    long = folder / "long.wav"
    soundfile.write(long, np.concatenate(rounds)[: MINUTES * 60 * 24000], 24000)
    row.add(page, codec, long)
    print(row, flush=True)
    for rate in (48000, 44100, 16000, 8000):
        row = Row(f"the clips at {rate} Hz")
        for clip, sound in zip(clips, sounds, strict=True):
            row.add(page, codec, at_rate(sound, rate, folder / f"{clip.stem}.wav"))
        print(row, flush=True)


def take_picture(page: OpenPage, picture: Path, dark: bool = False) -> None:
    """The page with a clip, in the middle of it, in 256 colours."""
    page.browser.resize(1200, 1320, dark)
    page.browser.call("Emulation.setScrollbarsHidden", hidden=True)
    page.click("#clips button:nth-child(3)")
    page.browser.wait(f"{text('status')} == 'Done.'", 60)
    click = "new MouseEvent('click', { bubbles: true, clientX: 900 })"
    page.evaluate(f"document.querySelector('#decoded .plot').dispatchEvent({click})")
    picture.parent.mkdir(exist_ok=True)
    page.browser.screenshot(picture)
    few = Image.open(picture).convert("RGB").quantize(256, Image.Quantize.MAXCOVERAGE)
    few.save(picture, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path, default=REPOSITORY / "build/page")
    parser.add_argument("--picture-only", action="store_true")
    args = parser.parse_args()
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None or not (args.page / "index.html").exists():
        raise SystemExit("Chromium and the built page (make page) are needed")
    with tempfile.TemporaryDirectory() as name, serve(args.page.resolve()) as url:
        folder = Path(name)
        browser = Browser(program, folder / "profile")
        try:
            page = OpenPage(browser, url, folder / "downloads")
            take_picture(page, PICTURE)
            if not args.picture_only:
                measure(page, folder)
        finally:
            browser.close()


if __name__ == "__main__":
    main()
