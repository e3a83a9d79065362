"""Streams that lie one after the other in a file are read as one, or refused."""

import numpy as np
import pytest

from espnet2.gan_codec.bscodec.format.parts import find_parts

from .sounds import ffmpeg, join, make_noise, read, refusal, write


def parts(folder, suffix, seeds=(0, 1), rate=24000, **options):
    return [
        write(folder / f"{seed}.{suffix}", make_noise(50000, seed=seed), rate, **options)
        for seed in seeds
    ]


@pytest.mark.parametrize("suffix", ["ogg", "opus", "flac", "mp3"])
def test_joined_files_are_read_one_after_the_other(tmp_path, suffix):
    options = {"format": "OGG", "subtype": "OPUS"} if suffix == "opus" else {}
    files = parts(tmp_path, suffix, (0, 1, 2), **options)
    joined = join(tmp_path / f"all.{suffix}", *files)
    expected = np.concatenate([read(file)[0] for file in files])
    samples, problems = read(joined)
    assert np.array_equal(samples, expected) and problems == []


def test_joined_flac_of_unknown_length_is_read_whole(tmp_path):
    (wav,) = parts(tmp_path, "wav", (0,))
    stream = tmp_path / "a.flac"
    stream.write_bytes(ffmpeg("-i", wav, "-f", "flac", "pipe:1"))
    samples, _ = read(join(tmp_path / "b.flac", stream, stream))
    assert np.array_equal(samples, np.concatenate([make_noise(50000)] * 2).astype(np.float32))


def test_joined_mp3_with_tags_is_read_whole(tmp_path):
    files = parts(tmp_path, "mp3")
    id3 = b"ID3\x04\x00\x00\x00\x00\x01\x00" + bytes(128)
    tagged = tmp_path / "tagged.mp3"
    tagged.write_bytes(id3 + files[0].read_bytes() + b"TAG" + bytes(125))
    samples, problems = read(join(tmp_path / "all.mp3", tagged, files[1], tagged))
    assert len(samples) == 150000 and problems == []


@pytest.mark.parametrize("suffix", ["ogg", "flac", "mp3"])
def test_joined_files_of_different_rates_are_refused(tmp_path, suffix):
    files = parts(tmp_path, suffix, (0,)) + parts(tmp_path, suffix, (1,), 16000)
    reason = refusal(join(tmp_path / f"all.{suffix}", *files))
    assert reason == "streams of different rates or numbers of channels, one after the other"


@pytest.mark.parametrize("suffix", ["ogg", "flac", "mp3"])
def test_joined_files_of_which_the_second_is_cut_are_refused(tmp_path, suffix):
    files = parts(tmp_path, suffix)
    joined = join(tmp_path / f"all.{suffix}", *files)
    joined.write_bytes(joined.read_bytes()[: -files[1].stat().st_size // 3])
    assert refusal(joined).startswith(("cut short: ", "damaged or cut short within "))
    samples, problems = read(joined, salvage=True)
    assert 50000 <= len(samples) < 100000 and problems


def test_flac_without_a_known_header_is_one_part(tmp_path):
    (file,) = parts(tmp_path, "flac", (0,))
    file.write_bytes(b"fLaC\x00\x00\x00\x23" + file.read_bytes()[8:])
    (part,) = find_parts(str(file), "FLAC")
    assert (part.start, part.end) == (0, file.stat().st_size)


def test_single_files_have_one_part(tmp_path):
    for suffix, container in (("ogg", "OGG"), ("flac", "FLAC"), ("mp3", "MP3"), ("wav", "WAV")):
        (file,) = parts(tmp_path, suffix, (0,))
        (part,) = find_parts(str(file), container)
        assert (part.start, part.end, part.problem) == (0, file.stat().st_size, "")
