"""Recordings by name, their domains, and codes with what they cost."""

import math
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml

from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.scoring.codes import read_codes
from espnet2.gan_codec.scoring.inputs import domain_of, read_utterances
from espnet2.gan_codec.scoring.metrics.metric import ScoringError


def test_a_folder_and_a_list_hold_the_same(tmp_path):
    audio = np.zeros(100, np.float32)
    for name in ("a.wav", "sub/b.flac"):
        path = tmp_path / "audio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio, 16000)
    (tmp_path / "audio" / "notes.txt").write_text("no audio")
    listed = tmp_path / "wav.scp"
    listed.write_text(f"a {tmp_path}/audio/a.wav\n\nsub/b   {tmp_path}/audio/sub/b.flac\n")
    expected = {"a": tmp_path / "audio/a.wav", "sub/b": tmp_path / "audio/sub/b.flac"}
    assert read_utterances(tmp_path / "audio") == read_utterances(listed) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "holds no audio"),
        ("a\n", "line 1: expected a name and a file's path"),
        ("a x.wav\nb sox x.mp3 - |\n", "line 2: expected a name and a file's path"),
        ("a data.ark:17\n", "line 1: expected a name and a file's path"),
        ("a x.wav\na y.wav\n", "a is there twice: x.wav and y.wav"),
    ],
)
def test_lists_that_make_no_sense_are_refused(tmp_path, text, reason):
    (tmp_path / "wav.scp").write_text(text)
    with pytest.raises(ScoringError) as caught:
        read_utterances(tmp_path / "wav.scp")
    assert str(caught.value) == f"{tmp_path}/wav.scp: {reason}"


@pytest.mark.parametrize(
    ("name", "source", "domain"),
    [
        ("speech_tux", "any/wav.scp", "speech"),
        ("x/sound-3", "dump/test_music/wav.scp", "sound"),
        ("0001", "dump/raw/test_music/wav.scp", "music"),
        ("loudspeech", "sound/music/wav.scp", "music"),
    ],
)
def test_auto_takes_the_domain_from_names(name, source, domain):
    assert domain_of(name, Path(source), "auto") == domain
    assert domain_of(name, Path(source), "sound") == "sound"


def test_auto_that_finds_no_domain_asks_for_it():
    with pytest.raises(ScoringError, match="give --domain"):
        domain_of("0001", Path("/data/wav.scp"), "auto")


def write_codes(folder, arrays):
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
        lines.append(f"{name} {folder}/{name}.npy\n")
    (folder / "codec.scp").write_text("".join(lines))
    return folder / "codec.scp"


@pytest.mark.parametrize("axis", [None, 0, 1])
def test_codes_are_counted_whatever_their_axes(tmp_path, axis):
    codes = np.array([[0, 1, 2, 3], [5, 5, 5, 5]])
    codes = codes if axis is None else np.expand_dims(codes, axis)
    report = read_codes(write_codes(tmp_path, {"a": codes, "b": codes}), [4, 1024])
    even, constant = report.books
    assert (even.used, even.usage, even.perplexity) == (4, 1.0, pytest.approx(4))
    assert (constant.used, constant.usage, constant.perplexity) == (1, 1 / 1024, 1)
    assert even.histogram == (0.25,) * 4
    assert constant.histogram[0] == 1 and sum(constant.histogram) == 1
    assert (report.frames, report.frames_by_name) == (8, {"a": 4, "b": 4})
    assert report.bits_per_frame == 2 + 10
    assert report.entropy_per_frame == pytest.approx(2)


def test_sizes_come_from_the_experiments_config(tmp_path):
    config = {"codec_conf": {"generator_params": {"quantize_codebook_size": [1000, 131072]}}}
    (tmp_path / "exp").mkdir()
    (tmp_path / "exp" / "config.yaml").write_text(yaml.safe_dump(config))
    codes = np.zeros((2, 7), dtype=np.int64)
    source = write_codes(tmp_path / "exp/decode/test/codec", {"a": codes})
    assert read_codes(source, None).bits_per_frame == 10 + 17
    assert read_codes(source, [8]).bits_per_frame == 3 + 3
    config["codec_conf"]["generator_params"] = {"quantizer_bins": 1024}
    (tmp_path / "exp" / "config.yaml").write_text(yaml.safe_dump(config))
    assert read_codes(source, None).bits_per_frame == 20


def test_unknown_sizes_leave_the_bitrate_open(tmp_path):
    other = {"codec_conf": {"generator_params": {"quantize_codebook_size": 4}}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(other))  # further up than a recipe's
    source = write_codes(tmp_path / "exp/codec/decode/test", {"a": np.array([[3, 1, 3]])})
    report = read_codes(source, None)
    assert report.bits_per_frame is None and report.books[0].usage is None
    assert report.books[0].used == 2
    assert report.entropy_per_frame == pytest.approx(math.log2(3) - 2 / 3)


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.array([[0, 4]]), "holds indices from 0 to 4, but the codebook has 4"),
        (np.array([[0, -1]]), "holds indices from -1 to 0"),
        (np.array([[0.5]]), "expected integers"),
        (np.zeros((2, 2, 3), dtype=int), "expected integers"),
        (np.zeros((1, 0), dtype=int), "expected integers"),
        (np.array([[{}]]), "not readable as an array of codes"),
    ],
)
def test_what_are_no_codes_is_refused(tmp_path, array, reason):
    with pytest.raises(ScoringError, match=reason):
        read_codes(write_codes(tmp_path, {"a": array}), [4])


def test_recordings_of_other_band_counts_are_refused(tmp_path):
    source = write_codes(tmp_path, {"a": np.zeros((1, 2), int), "b": np.zeros((2, 2), int)})
    with pytest.raises(ScoringError, match="b has other bands than those before: expected 1"):
        read_codes(source, None)


def test_bsc_files_tell_their_codebooks_themselves(tmp_path):
    def write(name, frames, sizes=(1000, 131072), channels=1):
        codes = np.stack([np.arange(frames) % 7, np.full(frames, 5)])
        codes = codes if channels == 1 else np.stack([codes] * channels)
        encoded = EncodedAudio(
            model="x",
            fingerprint="01234567",
            sampling_rate=24000,
            hop_length=320,
            num_samples=frames * 320,
            bands=((0.0, 4000.0), (4000.0, 12000.0)),
            codebook_sizes=sizes,
            codes=codes,
            num_channels=channels,
        )
        (tmp_path / "sub").mkdir(exist_ok=True)
        (tmp_path / f"{name}.bsc").write_bytes(encoded.dumps())

    write("a", 70)
    write("sub/b", 2100)  # several blocks
    report = read_codes(tmp_path, None)
    assert report.frames_by_name == {"a": 70, "sub/b": 2100}
    assert [(b.size, b.used) for b in report.books] == [(1000, 7), (131072, 1)]
    assert report.bits_per_frame == 27
    assert report == read_codes(tmp_path, [5])  # the files know better
    write("d", 30, channels=2)  # each channel costs its bits
    assert read_codes(tmp_path, None).frames_by_name["d"] == 60
    write("c", 5, sizes=(1000, 1024))
    with pytest.raises(ScoringError, match="c has other bands than those before"):
        read_codes(tmp_path, None)


def test_a_folder_without_codes_is_refused(tmp_path):
    with pytest.raises(ScoringError, match="holds no codes"):
        read_codes(tmp_path, None)
