"""What libsndfile does not know is read through ffmpeg, and refused where it is cut."""

import os
import time

import numpy as np
import pytest

from espnet2.gan_codec.bscodec.format.audio import SUFFIXES, AudioError, AudioReader
from espnet2.gan_codec.bscodec.format.sniff import foreign_kind

from .sounds import ffmpeg, join, make_noise, read, refusal, write

KINDS = {
    "m4a": ["-c:a", "aac"],
    "aac": ["-c:a", "aac"],
    "mp4": ["-c:a", "aac", "-movflags", "faststart"],
    "webm": ["-c:a", "libopus"],
    "mka": ["-c:a", "aac"],
    "wma": ["-c:a", "wmav2"],
    "ac3": ["-c:a", "ac3"],
    "wv": ["-c:a", "wavpack"],
    "tta": ["-c:a", "tta"],
}
LOSSLESS = {"wv", "tta"}
SECONDS, RATE = 5, 48000


def make(folder, suffix, channels=1, signal=None):
    """A file of five seconds; skips the test without ffmpeg."""
    if signal is None:
        tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(SECONDS * RATE) / RATE)
        signal = np.stack([np.round(tone * 32768) / 32768] * channels, axis=1)
    write(folder / "source.wav", signal, RATE)
    path = folder / f"a.{suffix}"
    ffmpeg("-i", folder / "source.wav", *KINDS[suffix], path)
    return path, signal


@pytest.mark.parametrize("suffix", KINDS)
def test_foreign_files_are_read_whole(tmp_path, suffix):
    channels = 1 if suffix == "aac" else 2
    assert f".{suffix}" in SUFFIXES
    path, signal = make(tmp_path, suffix, channels)
    with AudioReader(path) as reader:
        assert (reader.sampling_rate, reader.num_channels) == (RATE, channels)
        assert abs(reader.duration - SECONDS) < 0.2
        samples = np.concatenate(list(reader.blocks()))
    # Coders add up to two frames of silence; ffmpeg's for Windows Media lose one.
    assert -2048 <= len(samples) - len(signal) <= 4096
    if suffix in LOSSLESS:
        assert np.array_equal(samples, signal.astype(np.float32))
    middle = samples[RATE : 4 * RATE, 0]
    assert abs(np.sqrt(np.mean(middle**2)) - 0.5 / np.sqrt(2)) < 0.02
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert abs(np.argmax(spectrum) / 3 - 440) < 1


@pytest.mark.parametrize("keep", [0.3, 0.95])
@pytest.mark.parametrize("suffix", KINDS)
def test_cut_foreign_files_are_refused(tmp_path, suffix, keep):
    path, _ = make(tmp_path, suffix, signal=make_noise(SECONDS * RATE))
    os.truncate(path, int(path.stat().st_size * keep))
    assert refusal(path).startswith(
        ("cut short: ", "damaged or cut short at ", "not readable as audio: ffmpeg says: ")
    )


@pytest.mark.parametrize("suffix", ["mp4", "aac", "webm", "wma", "ac3", "tta"])
def test_cut_foreign_files_are_salvaged(tmp_path, suffix):
    path, _ = make(tmp_path, suffix, signal=make_noise(SECONDS * RATE))
    os.truncate(path, int(path.stat().st_size * 0.6))
    samples, problems = read(path, salvage=True)
    assert problems and 0.4 < len(samples) / (SECONDS * RATE) < 0.7


def test_the_kind_is_known_by_content_not_by_name(tmp_path):
    path, _ = make(tmp_path, "m4a")
    renamed = path.rename(tmp_path / "-i http:x.wav")
    assert len(read(renamed)[0]) >= SECONDS * RATE


def test_video_gives_its_sound_and_is_refused_without_any(tmp_path):
    picture = ["-f", "lavfi", "-i", "color=size=32x32:duration=1:rate=5"]
    sound = ["-f", "lavfi", "-i", "sine=duration=1:sample_rate=16000"]
    ffmpeg(*picture, *sound, "-c:v", "mpeg4", tmp_path / "a.mp4")
    assert 16000 <= len(read(tmp_path / "a.mp4")[0]) < 18048
    ffmpeg(*picture, "-c:v", "mpeg4", tmp_path / "b.mp4")
    assert refusal(tmp_path / "b.mp4") == "not readable as audio: ffmpeg finds no audio in it"


def test_bw64_is_read_and_refused_where_it_is_cut(tmp_path):
    signal = make_noise(RATE)
    path = write(tmp_path / "a.wav", signal, RATE, format="RF64")
    path.write_bytes(b"BW64" + path.read_bytes()[4:])
    ffmpeg("-i", path, tmp_path / "b.wav")  # skips where it is too old
    assert np.array_equal(read(path)[0], signal.astype(np.float32))
    os.truncate(path, path.stat().st_size - 1001)
    present = 2 * RATE - 1001
    assert refusal(path) == f"cut short: {present} of {2 * RATE} bytes of audio are there"


def test_play_lists_are_not_followed(tmp_path):
    path, _ = make(tmp_path, "m4a")
    for name, text in (("a.m3u8", "#EXTM3U\n#EXTINF:5,\n{}\n"), ("a.txt", "file '{}'\n")):
        (tmp_path / name).write_text(text.format(path))
        assert foreign_kind(str(tmp_path / name)) is None
        assert refusal(tmp_path / name).startswith("not readable as audio: ")


def test_joined_speex_is_refused(tmp_path):
    write(tmp_path / "a.wav", make_noise(16000), 16000)
    ffmpeg("-i", tmp_path / "a.wav", "-c:a", "libspeex", tmp_path / "a.spx")
    assert len(read(tmp_path / "a.spx")[0]) == 16000
    joined = join(tmp_path / "b.spx", tmp_path / "a.spx", tmp_path / "a.spx")
    assert refusal(joined).startswith("holds 2 streams one after the other")


def test_missing_ffmpeg_is_one_line_that_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "a.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(100))
    assert refusal(path) == (
        "not readable as audio: MPEG-4 is read through ffmpeg, which is not installed "
        "(Debian, Ubuntu: apt-get install ffmpeg)"
    )


def test_ffmpeg_is_stopped_with_the_reader(tmp_path):
    path, _ = make(tmp_path, "wv", 2, make_noise(60 * RATE, 2))
    with AudioReader(path) as reader:
        next(reader.blocks())
        process = reader._decoder._process
        assert process.poll() is None
    begun = time.monotonic()
    assert process.wait(5) != 0 and time.monotonic() - begun < 5


def test_nothing_of_ffmpeg_is_printed(tmp_path, capfd):
    path, _ = make(tmp_path, "mp4", signal=make_noise(SECONDS * RATE))
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(AudioError):
        read(path)
    assert capfd.readouterr().err == ""
