"""Audio files: any kind in, exact lengths out, and one line for what cannot be read."""

import os
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.format import audio
from espnet2.gan_codec.bscodec.format.audio import (
    AudioError,
    AudioReader,
    resample,
    resampled_length,
    write_audio,
)


def make_tone(num_samples=12000, frequency=440.0, rate=24000, channels=None):
    tone = 0.5 * np.sin(2 * np.pi * frequency * np.arange(num_samples) / rate)
    tone = tone.astype(np.float32)
    return tone if channels is None else np.stack([tone] * channels, axis=1)


def read_mono(path, rate=24000):
    with AudioReader(path) as reader:
        return np.concatenate(list(reader.mono_blocks(rate)))


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".au", ".caf", ".w64", ".rf64"])
def test_lossless_formats_are_read_exactly(tmp_path, suffix):
    tone = np.round(make_tone() * 32768) / 32768
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, tone, 24000, subtype="PCM_16")
    assert suffix in audio.SUFFIXES
    assert np.array_equal(read_mono(path), tone.astype(np.float32))


@pytest.mark.parametrize("suffix", [".ogg", ".mp3"])
def test_lossy_formats_are_read_whole(tmp_path, suffix):
    tone = make_tone()
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, tone, 24000)
    decoded = read_mono(path)
    assert len(decoded) == soundfile.info(path).frames
    assert np.abs(np.abs(decoded[4000:8000]).max() - 0.5) < 0.05


def test_downmix_is_the_mean_of_all_channels(tmp_path):
    left, right = make_tone(1000), make_tone(1000, 1000.0)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], 1), 24000, subtype="FLOAT")
    assert np.allclose(read_mono(tmp_path / "a.wav"), (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("rate", [1000, 8000, 11025, 16000, 44100, 48000, 96000, 192000])
def test_resampling_keeps_a_tone_and_its_length(tmp_path, rate):
    seconds = 0.7
    tone = make_tone(int(rate * seconds), 300.0, rate)
    soundfile.write(tmp_path / "a.wav", tone, rate, subtype="FLOAT")
    resampled = read_mono(tmp_path / "a.wav")
    assert len(resampled) == resampled_length(len(tone), rate, 24000)
    expected = make_tone(len(resampled), 300.0)
    assert np.abs(resampled - expected)[4000:-4000].max() < 2e-3


@pytest.mark.parametrize("rate", [7999, 8000, 44100, 192000])
@pytest.mark.parametrize("num_samples", [1, 2, 3, 7, 100, 5000])
def test_resampled_length_is_exact_and_cuts_do_not_matter(num_samples, rate):
    signal = np.random.default_rng(0).uniform(-1, 1, num_samples).astype(np.float32)
    whole = np.concatenate(list(resample([signal], rate, 24000)))
    pieces = np.array_split(signal, range(1, num_samples, 77))
    assert len(whole) == resampled_length(num_samples, rate, 24000)
    assert np.array_equal(np.concatenate(list(resample(pieces, rate, 24000))), whole)


def test_resampled_length_rounds_and_never_loses_everything():
    assert resampled_length(44100, 44100, 24000) == 24000
    assert resampled_length(3, 48000, 24000) == 2
    assert resampled_length(1, 192000, 24000) == 1
    assert resampled_length(1000, 24000, 24000) == 1000


def test_files_are_read_by_blocks(tmp_path):
    tone = make_tone(audio.BLOCK_FRAMES * 2 + 5)
    soundfile.write(tmp_path / "a.wav", tone, 24000)
    with AudioReader(tmp_path / "a.wav") as reader:
        sizes = [len(block) for block in reader.blocks()]
    assert sizes == [audio.BLOCK_FRAMES, audio.BLOCK_FRAMES, 5]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_named(tmp_path, value):
    tone = make_tone()
    tone[6000] = value
    path = tmp_path / "a.wav"
    soundfile.write(path, tone, 24000, subtype="FLOAT")
    with pytest.raises(AudioError) as error:
        read_mono(path)
    assert str(error.value) == f"{path}: sample at 0.250 s is NaN or infinite"


@pytest.mark.parametrize("keep", [0.3, 0.5, 0.99])
@pytest.mark.parametrize("suffix", [".wav", ".flac", ".aiff", ".mp3", ".ogg", ".opus"])
def test_truncated_files_are_refused_in_one_line(tmp_path, suffix, keep):
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 100000)
    container = {"format": "OGG", "subtype": "OPUS"} if suffix == ".opus" else {}
    soundfile.write(path, noise, 24000, **container)
    assert len(read_mono(path)) >= 99000
    os.truncate(path, int(path.stat().st_size * keep))
    with pytest.raises(
        AudioError, match=f"{path.name}: (cut short|damaged|not readable)"
    ) as error:
        read_mono(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFF000])
def test_wav_from_a_pipe_is_read_though_its_size_is_a_placeholder(tmp_path, size):
    path = tmp_path / "a.wav"
    soundfile.write(path, make_tone(), 24000)
    data = bytearray(path.read_bytes())
    data[40:44] = struct.pack("<I", size)
    path.write_bytes(data)
    assert len(read_mono(path)) == 12000


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.wav", b"", "the file is empty"),
        ("a.wav", b"hello" * 50, "not readable as audio: Format not recognised"),
        ("a.raw", b"hello" * 50, "not readable as audio"),
        ("a.wav", b"%!PS-Adobe-3.0\n" * 50, "not readable as audio: this is a PostScript file"),
        ("a.wav", b"version https://git-lfs", "not readable as audio: this is a pointer of Git"),
    ],
)
def test_files_without_audio_are_named(tmp_path, name, data, message):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(AudioError, match=f"{name}: {message}"):
        AudioReader(path)


def test_audio_of_no_samples_is_named(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(0), 24000)
    with pytest.raises(AudioError, match="a.wav: the file holds no audio"):
        AudioReader(tmp_path / "a.wav")


@pytest.mark.parametrize("reason", ["", "None"])
def test_a_decoder_that_gives_no_reason_is_said_so(tmp_path, monkeypatch, reason):
    def refuse(self, *_):
        raise soundfile.SoundFileError(reason)

    monkeypatch.setattr(soundfile.SoundFile, "__init__", refuse)
    monkeypatch.setattr(soundfile.SoundFile, "__del__", lambda self: None)
    (tmp_path / "a.wav").write_bytes(b"hello")
    with pytest.raises(AudioError, match="not readable as audio: libsndfile does not say why"):
        AudioReader(tmp_path / "a.wav")


@pytest.mark.parametrize("rate", [1, 8, 999])
def test_rates_that_no_audio_has_are_refused(tmp_path, rate):
    path = tmp_path / "a.wav"
    soundfile.write(path, make_tone(100), rate, subtype="PCM_U8")
    with pytest.raises(AudioError) as error:
        AudioReader(path)
    assert str(error.value) == f"{path}: {rate} Hz is no rate of audio (1000 or more)"


@pytest.mark.parametrize(
    ("rate", "new_rate"), [(1000, 48000), (1000, 192000), (3, 7), (192000, 1000)]
)
def test_resampling_gives_small_blocks_at_any_ratio(rate, new_rate):
    blocks = list(resample([make_tone(50000)], rate, new_rate))
    assert max(map(len, blocks[:-1]), default=0) <= 4 * audio.BLOCK_FRAMES
    assert sum(map(len, blocks)) == resampled_length(50000, rate, new_rate)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_pipes_are_refused_at_once(tmp_path):
    path = tmp_path / "a.wav"
    os.mkfifo(path)
    with pytest.raises(OSError, match="is a pipe or device, not a regular file") as error:
        AudioReader(path)
    assert error.value.filename == str(path)
    with pytest.raises(IsADirectoryError):
        AudioReader(tmp_path)


def test_missing_file_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        AudioReader(tmp_path / "a.wav")


@pytest.mark.skipif(os.name != "posix", reason="file names are Unicode here")
def test_names_that_are_no_unicode(tmp_path):
    path = tmp_path / os.fsdecode(b"a\xff.wav")
    with write_audio(path, 24000, 9) as writer:
        writer.append(make_tone(9))
    assert len(read_mono(path)) == 9


@pytest.mark.parametrize(
    ("name", "float32"), [("a.wav", False), ("a.WAV", True), ("a.flac", False)]
)
def test_written_audio_is_read_back(tmp_path, name, float32):
    tone = make_tone()
    with write_audio(tmp_path / name, 24000, len(tone), float32) as writer:
        for block in np.array_split(tone, 7):
            writer.append(block)
    assert (writer.num_clipped, writer.peak) == (0, np.abs(tone).max())
    tolerance = 0 if float32 else 1 / 32768
    assert np.abs(read_mono(tmp_path / name) - tone).max() <= tolerance
    assert os.listdir(tmp_path) == [name]


def test_clipping_is_counted_and_cannot_wrap_around(tmp_path):
    loud = np.array([0.5, 1.5, -2.0, -0.5], np.float32)
    with write_audio(tmp_path / "a.wav", 24000, 4) as writer:
        writer.append(loud)
    assert (writer.num_clipped, writer.peak) == (2, 2.0)
    assert np.allclose(read_mono(tmp_path / "a.wav"), loud.clip(-1, 1), atol=1e-4)


def test_wav_beyond_four_gibibytes_is_rf64(tmp_path):
    with write_audio(tmp_path / "a.wav", 24000, 2**31) as writer:
        writer.append(make_tone(1))
    assert soundfile.info(tmp_path / "a.wav").format == "RF64"


@pytest.mark.parametrize(("name", "float32"), [("a.mp3", False), ("a", False), ("a.flac", True)])
def test_other_outputs_are_refused(tmp_path, name, float32):
    with pytest.raises(AudioError, match=f"{name}: "):
        with write_audio(tmp_path / name, 24000, 1, float32):
            pytest.fail("nothing can be written here")
    assert os.listdir(tmp_path) == []


def test_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        with write_audio(tmp_path / "nowhere" / "a.wav", 24000, 1):
            pytest.fail("nothing can be written here")


def test_failed_writing_keeps_the_old_file(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        with write_audio(tmp_path / "a.wav", 24000, 9) as writer:
            writer.append(make_tone(9))
            raise KeyboardInterrupt
    assert (tmp_path / "a.wav").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.wav"]


@pytest.fixture
def tiny_disk(tmp_path):
    """A folder on a disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_full_disk_is_an_os_error_and_leaves_nothing(tiny_disk, name):
    noise = np.random.default_rng(0).uniform(-1, 1, 24000).astype(np.float32)
    with pytest.raises(OSError, match="No space left on device") as error:
        with write_audio(tiny_disk / name, 24000, 20 * 24000) as writer:
            for _ in range(20):
                writer.append(noise)
    assert error.value.filename == str(tiny_disk / name)
    assert os.listdir(tiny_disk) == []


def test_refused_writing_is_named_where_the_disk_has_room(tmp_path, monkeypatch):
    def write(self, data):
        raise soundfile.LibsndfileError(2)

    monkeypatch.setattr(soundfile.SoundFile, "write", write)
    with pytest.raises(AudioError, match="a.wav: could not be written"):
        with write_audio(tmp_path / "a.wav", 24000, 9) as writer:
            writer.append(make_tone(9))
    assert os.listdir(tmp_path) == []
