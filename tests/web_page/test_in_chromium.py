"""The page in a real browser, against the ``bscodec`` command."""

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.demo.exported import near_ties
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from tests.web_page.conftest import CLIPS, text

pytestmark = pytest.mark.long
SPEECH = CLIPS / "speech_pd_voice.flac"
ALL_CLIPS = sorted(CLIPS.glob("*.flac"))


def command(verb: str, source: Path, target: Path) -> Path:
    assert main([verb, str(source), "-o", str(target), "--force"]) == 0
    return target


def audio(path: Path) -> np.ndarray:
    return soundfile.read(path, dtype="float32")[0]


def write_wav(path: Path, samples: np.ndarray, rate: int, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, samples, rate, subtype)
    return path


def test_a_demo_clip_is_coded_played_and_switched(page):
    browser = page.browser
    page.click("#clips button:nth-child(3)")
    browser.wait(f"{text('status')} == 'Done.'", 60)
    assert "2.29 s" in page.evaluate(text("facts"))
    assert "3.84 kbit/s" in page.evaluate(text("facts"))
    assert float(page.evaluate("document.getElementById('seek').max")) == pytest.approx(
        2.294, abs=1e-3
    )
    page.click("#loop")
    page.click("#play")
    browser.wait("document.getElementById('play').getAttribute('aria-label') == 'Pause'")
    browser.wait("heard() > 0.001")
    for band in range(5):
        page.click(f"#bands li:nth-child({band + 1}) [aria-label^=Mute]")
    browser.wait("heard() < 1e-4")  # nothing decoded is left to be heard
    page.click("#mode [value=original]")
    browser.wait("heard() > 0.001")
    page.click("#mode [value=decoded]")
    browser.wait("heard() < 1e-4")
    page.click("#bands li:nth-child(3) [aria-label^=Solo]")
    browser.wait("heard() > 0.0005")
    page.check_quiet()


def test_muting_a_band_changes_the_decoded_spectrogram_alone(page):
    page.code(SPEECH)
    before = [page.picture(f"#{side} canvas") for side in ("original", "decoded")]
    page.click("#bands li:nth-child(2) [aria-label^=Mute]")
    after = [page.picture(f"#{side} canvas") for side in ("original", "decoded")]
    assert after[0] == before[0]
    assert after[1] != before[1]
    page.click("#bands li:nth-child(2) [aria-label^=Mute]")
    assert page.picture("#decoded canvas") == before[1]
    codes = {page.picture(f"#bands li:nth-child({n}) canvas") for n in range(1, 6)}
    assert len(codes) == 5


def test_bytes_and_samples_are_those_of_the_command(page, tmp_path):
    """All twelve clips, from FLAC; what the page saves and what the command decodes of it."""
    assert len(ALL_CLIPS) == 12
    for clip in ALL_CLIPS:
        page.code(clip)
        saved = page.saved("bsc", clip.stem)
        assert saved.read_bytes() == command("encode", clip, tmp_path / "c.bsc").read_bytes(), clip
        decoded = audio(page.saved("wav", clip.stem))
        expected = audio(command("decode", saved, tmp_path / "c.wav"))
        assert decoded.shape == expected.shape
        assert np.abs(decoded - expected).max() < 1e-4
        assert np.abs(expected).max() > 0.01
    page.check_quiet()


def test_every_kind_of_wav_and_flac_is_read_as_the_command_reads_it(page, tmp_path):
    mono = audio(CLIPS / "music_tabla.flac")[:24000]
    stereo = np.stack([mono, mono[::-1] * 0.5], axis=1)
    kinds = [("wav", kind) for kind in "PCM_U8 PCM_16 PCM_24 PCM_32 FLOAT DOUBLE".split()]
    kinds += [("flac", kind) for kind in "PCM_S8 PCM_16 PCM_24".split()]
    for suffix, kind in kinds:
        path = tmp_path / f"{kind}.{suffix}"
        soundfile.write(path, stereo, 24000, kind)
        page.code(path)
        expected = command("encode", path, tmp_path / "c.bsc").read_bytes()
        assert page.saved("bsc", kind).read_bytes() == expected, (suffix, kind)
        (page.folder / f"{kind}.bsc").unlink()


def test_a_file_of_the_command_is_played(page, tmp_path):
    source = command("encode", CLIPS / "music_nebula.flac", tmp_path / "given.bsc")
    page.code(source)
    decoded = audio(page.saved("wav", "given"))
    assert np.abs(decoded - audio(command("decode", source, tmp_path / "c.wav"))).max() < 1e-4
    assert page.evaluate("document.getElementById('original').hidden")
    assert page.saved("bsc", "given").read_bytes() == source.read_bytes()
    lowest = tmp_path / "lowest.bsc"
    assert main(["encode", str(SPEECH), "-o", str(lowest), "--bands", "2"]) == 0
    page.code(lowest)
    assert page.evaluate("document.querySelectorAll('#bands li').length") == 2
    decoded = audio(page.saved("wav", "lowest"))
    assert np.abs(decoded - audio(command("decode", lowest, tmp_path / "c.wav"))).max() < 1e-4
    page.check_quiet()


def test_what_cannot_be_coded_is_one_line(page, tmp_path):
    bsc = command("encode", SPEECH, tmp_path / "good.bsc").read_bytes()
    wav = write_wav(tmp_path / "good.wav", np.zeros(8000), 8000).read_bytes()
    (tmp_path / "notes.txt").write_text("no sound at all\n" * 100)
    (tmp_path / "empty.wav").write_bytes(b"")
    (tmp_path / "cut.wav").write_bytes(wav[:5000])
    (tmp_path / "cut.bsc").write_bytes(bsc[:-1])
    (tmp_path / "changed.bsc").write_bytes(bsc[:500] + bytes([bsc[500] ^ 1]) + bsc[501:])
    write_wav(tmp_path / "long.wav", np.zeros(601 * 1000), 1000)
    write_wav(tmp_path / "nan.wav", np.r_[np.zeros(500), np.nan], 1000, "FLOAT")
    said = {
        "notes.txt": "no sound that this browser can read",
        "empty.wav": "the file is empty",
        "cut.wav": "cut short: 4956 of 16000 bytes of audio are there",
        "cut.bsc": f"the file is cut short: {len(bsc) - 1} of {len(bsc)} bytes",
        "changed.bsc": "block 1 of 1 is damaged",
        "long.wav": "10.0 minutes are too long for this page, which takes 10",
        "nan.wav": "the sample at 0.500 s is NaN or infinite",
    }
    for name, line in said.items():
        assert page.refuse(tmp_path / name).startswith(f"{name}: {line}")
    page.code(SPEECH)  # and nothing is lost by it
    assert page.evaluate("document.getElementById('error').hidden")
    page.check_quiet()


def test_keys_do_all_and_everything_has_a_name(page):
    browser = page.browser
    browser.evaluate("document.querySelector('#clips button').focus()")
    browser.press("Enter", 13, "\r")
    browser.wait(f"{text('status')} == 'Done.'", 60)
    browser.evaluate("document.getElementById('name').focus()")
    chosen = "document.querySelector('#mode :checked').value"
    for key, mode in (("1", "original"), ("3", "difference"), ("2", "decoded")):
        browser.press(key, ord(key), key)
        assert browser.evaluate(chosen) == mode
    browser.press("ArrowRight", 39)
    assert float(browser.evaluate("document.getElementById('seek').value")) == pytest.approx(1)
    browser.press(" ", 32, " ")
    browser.wait("document.getElementById('play').getAttribute('aria-label') == 'Pause'")
    browser.press(" ", 32, " ")
    browser.wait("document.getElementById('play').getAttribute('aria-label') == 'Play'")
    tree = browser.call("Accessibility.getFullAXTree")["nodes"]
    roles = {"button", "radio", "checkbox", "slider", "image", "progressbar"}
    shown = [node for node in tree if node.get("role", {}).get("value") in roles]
    unnamed = [node for node in shown if not node.get("name", {}).get("value")]
    assert len(shown) > 25
    assert unnamed == []


@pytest.mark.parametrize("dark", [False, True])
def test_a_phone_has_no_sideways_scroll(page, dark):
    page.browser.resize(360, 740, dark)
    page.code(SPEECH)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("getComputedStyle(document.body).color") == (
        "rgb(231, 235, 238)" if dark else "rgb(29, 38, 48)"
    )


def test_three_minutes_are_coded_while_the_page_goes_on(page, tmp_path):
    """Other loudness each time the clips come round. A code is another than the command's only
    where two are equally near to the last digits, as on another processor."""
    clips = [audio(clip) for clip in ALL_CLIPS]
    samples = np.concatenate([x * gain for gain in (1, 0.7, 0.45, 0.3, 0.2) for x in clips])
    path = write_wav(tmp_path / "long.wav", samples[: 180 * 24000], 24000)
    page.evaluate("window.ticks = 0; setInterval(() => { window.ticks++ }, 50)")
    start = time.monotonic()
    page.code(path, 300)
    assert page.evaluate("window.ticks") > 5 * (time.monotonic() - start)  # 20 a second, if free
    ours = EncodedAudio.load(page.saved("bsc", "long"))
    theirs = EncodedAudio.load(command("encode", path, tmp_path / "c.bsc"))
    assert ours.header == theirs.header
    differing = int((ours.codes != theirs.codes).sum())
    assert differing <= 1e-4 * theirs.codes.size
    codec = Codec.from_pretrained("bscodec-mini", "cpu")
    assert near_ties(codec, audio(path), theirs.codes, ours.codes) == differing
    decoded = audio(page.saved("wav", "long"))
    ours.save(tmp_path / "ours.bsc")
    expected = audio(command("decode", tmp_path / "ours.bsc", tmp_path / "c.wav"))
    assert np.abs(decoded - expected).max() < 1e-4
    page.check_quiet()


def test_a_newer_sound_takes_the_place_of_one_being_coded(page, tmp_path):
    path = write_wav(tmp_path / "long.wav", np.zeros(120 * 24000), 24000)
    page.browser.choose("#file", path)
    page.browser.wait(f"{text('status')}.startsWith('Encoding')", 60)
    page.code(SPEECH)
    assert "2.29 s" in page.evaluate(text("facts"))


def test_the_microphone_is_recorded(page):
    page.click("#record")
    page.browser.wait(f"{text('record')}.includes('0:02')", 60)
    page.click("#record")
    page.browser.wait(f"{text('name')} == 'Recording' && {text('status')} == 'Done.'", 60)
    decoded = audio(page.saved("wav", "Recording"))
    assert 2 <= len(decoded) / 24000 < 30
    assert np.abs(decoded).max() > 0.01  # Chromium's microphone beeps
    page.check_quiet()


def test_a_file_is_dropped(page):
    page.evaluate(
        """
        (() => {
          const carried = new DataTransfer();
          carried.items.add(new File(["no sound"], "dropped.txt"));
          const init = { dataTransfer: carried, bubbles: true, cancelable: true };
          document.body.dispatchEvent(new DragEvent("dragover", init));
          document.body.dispatchEvent(new DragEvent("drop", init));
        })()
        """
    )
    page.browser.wait("!document.getElementById('error').hidden", 60)
    assert page.evaluate(text("error")).startswith("dropped.txt: no sound")
    assert not page.evaluate("document.body.classList.contains('dropping')")
