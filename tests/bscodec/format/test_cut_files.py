"""Cut and damaged files are refused in one line, and salvaged as far as they go."""

import os
import re

import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.format import containers
from espnet2.gan_codec.bscodec.format.mpeg import scan_mpeg

from .sounds import ffmpeg, make_noise, read, refusal, run, write

# Those whose header says how much audio there is.
PROMISING = "AIFF AU AVR CAF MAT4 MAT5 MPC2K NIST RF64 SVX VOC W64 WAV WAVEX WVE SDS".split()
ALIGNED = {"IRCAM": ["PCM_16", "PCM_32"], "PAF": ["PCM_16", "PCM_24"], "PVF": ["PCM_16"]}


def make(folder, kind, channels=1, **options):
    signal = make_noise(channels=channels)
    return write(folder / f"a.{kind.lower()}", signal, 24000, format=kind, **options)


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("kind", [*PROMISING, *ALIGNED])
def test_whole_files_are_whole(tmp_path, kind, channels):
    if channels == 2 and kind in ("SVX", "WVE", "SDS"):
        pytest.skip("mono only")
    path = make(tmp_path, kind, channels)
    samples, problems = read(path)
    assert samples.shape == (30000, channels) and problems == []


@pytest.mark.parametrize("missing", [2, 1001, 20000])
@pytest.mark.parametrize("kind", PROMISING)
def test_cut_files_are_refused(tmp_path, kind, missing):
    path = make(tmp_path, kind)
    os.truncate(path, path.stat().st_size - missing)
    tail = {"VOC": 1}.get(kind, 0)  # a byte after the audio
    reason = refusal(path)
    if kind == "CAF" and missing > 2 and reason.startswith("not readable"):
        return  # libsndfile refuses it by itself, and ffmpeg is not here
    present, promised = (int(word) for word in reason.split() if word.isdigit())
    assert reason == f"cut short: {present} of {promised} bytes of audio are there"
    assert promised - present == missing - tail


@pytest.mark.parametrize(("kind", "subtype"), [(k, s) for k, v in ALIGNED.items() for s in v])
def test_files_of_no_promised_length_are_refused_if_cut_within_a_sample(tmp_path, kind, subtype):
    path = make(tmp_path, kind, subtype=subtype)
    os.truncate(path, path.stat().st_size - 1001)
    assert refusal(path).startswith("cut short: ")


@pytest.mark.parametrize("kind", ["AU", "NIST", "RF64", "VOC", "W64", "WAV", "AIFF"])
def test_salvage_gives_what_is_there_and_says_what_is_missing(tmp_path, kind):
    path = make(tmp_path, kind)
    whole, _ = read(path)
    os.truncate(path, path.stat().st_size - 20001)
    samples, problems = read(path, salvage=True)
    assert np.array_equal(samples, whole[: len(samples)]) and 19000 < len(samples) < 20001
    assert len(problems) == 1 and problems[0].startswith("cut short: ")


@pytest.mark.parametrize("kind", ["aiff", "au", "wav"])
def test_sizes_that_a_pipe_left_open_are_no_promise(tmp_path, kind):
    data = run(
        "sox", "-n", "-r", "24000", "-b", "16", "-t", kind, "-", "synth", "1", "sine", "440"
    )
    path = tmp_path / f"a.{kind}"
    path.write_bytes(data)
    assert len(read(path)[0]) == 24000


@pytest.mark.parametrize("kind", ["8svx", "aifc", "avr", "caf", "mat5", "paf", "pvf", "sf", "voc"])
def test_what_sox_writes_is_whole(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    run("sox", "-n", "-r", "24000", "-c", "2", path, "synth", "1", "sine", "440")
    samples, problems = read(path)
    assert samples.shape == (24000, 2) and problems == []


def test_headers_that_make_no_sense_promise_nothing(tmp_path):
    random = np.random.default_rng(0)
    path = tmp_path / "a"
    for length in (0, 1, 7, 30, 200, 4000):
        path.write_bytes(random.integers(0, 256, length, dtype=np.uint8).tobytes())
        for kind in containers.AUDIO_ENDS:
            extent = containers.audio_extent(str(path), kind, 1, "PCM_16")
            assert extent is None or extent.present <= max(length, extent.promised)


@pytest.fixture(params=["VORBIS", "OPUS"])
def ogg(tmp_path, request):
    noise = make_noise(200000)
    return write(tmp_path / "a.ogg", noise, 24000, format="OGG", subtype=request.param)


def pages(path):
    """Where the pages of an Ogg file begin."""
    data, places, position = path.read_bytes(), [], 0
    while position < len(data):
        places.append(position)
        sizes = data[position + 27 : position + 27 + data[position + 26]]
        position += 27 + len(sizes) + sum(sizes)
    return places


def test_ogg_cut_between_pages_is_refused(ogg):
    whole, _ = read(ogg)
    os.truncate(ogg, pages(ogg)[-3])
    assert refusal(ogg) == "cut short: its last Ogg page is missing"
    samples, problems = read(ogg, salvage=True)
    assert problems == ["cut short: its last Ogg page is missing"]
    assert 0 < len(samples) < len(whole)


def test_ogg_cut_within_a_page_is_refused(ogg):
    os.truncate(ogg, pages(ogg)[-2] + 100)
    assert refusal(ogg) == "cut short: its last Ogg page is not complete"


def test_ogg_without_a_page_in_its_middle_is_refused(ogg):
    data, places = ogg.read_bytes(), pages(ogg)
    ogg.write_bytes(data[: places[5]] + data[places[6] :])
    assert refusal(ogg) == "damaged: Ogg pages are missing"
    ogg.write_bytes(data[: places[5]] + b"hello" + data[places[5] :])
    assert refusal(ogg) == "damaged: bytes that are no Ogg page"


def test_ogg_with_a_damaged_page_is_refused(ogg):
    data, place = bytearray(ogg.read_bytes()), pages(ogg)[6]
    data[place + 500 : place + 520] = bytes(20)
    ogg.write_bytes(data)
    assert refusal(ogg).startswith("damaged: ")


def test_damage_within_an_mp3_is_named_as_that(tmp_path):
    path = write(tmp_path / "a.mp3", make_noise(240000))
    whole, _ = read(path)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = b"\x55" * 2000
    path.write_bytes(data)
    reason = refusal(path)
    assert reason.startswith("damaged at ") and reason.endswith(" s")
    assert abs(float(reason.split()[2]) - 5) < 1
    samples, problems = read(path, salvage=True)
    assert problems[0] == reason and 0.85 * len(whole) < len(samples) < len(whole)
    os.truncate(path, middle)
    assert refusal(path).startswith("cut short: ")


def test_mp3_cut_anywhere_is_refused(tmp_path):
    path = write(tmp_path / "a.mp3", make_noise(48000))
    (stream,) = scan_mpeg(str(path))
    assert (stream.num_frames, stream.problem) == (stream.promised_frames, "")
    problems = set()
    for _ in range(400):  # more than a frame
        os.truncate(path, path.stat().st_size - 1)
        (stream,) = scan_mpeg(str(path))
        problems.add(stream.problem)
    frames = stream.promised_frames
    assert f"cut short: {frames - 1} of {frames} MP3 frames are there" in problems
    assert all(problem.startswith("cut short: ") for problem in problems)


@pytest.mark.parametrize("options", [["-b:a", "64k"], ["-q:a", "4"]])
def test_mp3_without_a_xing_header_is_read_whole(tmp_path, options):
    write(tmp_path / "a.wav", make_noise(240000))
    path = tmp_path / "a.mp3"
    ffmpeg("-i", tmp_path / "a.wav", *options, "-write_xing", "0", path)
    samples, problems = read(path)
    assert 240000 <= len(samples) <= 240000 + 3 * 1152 and problems == []


def test_flac_of_unknown_length_is_read_exactly(tmp_path):
    signal = make_noise(150000)
    write(tmp_path / "a.wav", signal)
    path = tmp_path / "a.flac"
    path.write_bytes(ffmpeg("-i", tmp_path / "a.wav", "-f", "flac", "pipe:1"))
    assert soundfile.info(path).frames > 2**62
    assert np.array_equal(read(path)[0], signal.astype(np.float32))
    os.truncate(path, path.stat().st_size * 3 // 5)
    assert refusal(path).startswith("damaged or cut short within ")
    samples, problems = read(path, salvage=True)
    assert 80000 < len(samples) < 91000 and len(problems) == 1
    assert np.array_equal(samples, signal[: len(samples)].astype(np.float32))


def test_the_place_of_damage_in_a_flac_is_said_as_a_range(tmp_path):
    path = write(tmp_path / "a.flac", make_noise(120000))
    os.truncate(path, path.stat().st_size * 3 // 5)
    places = re.compile(r"damaged or cut short within ([\d.]+)-([\d.]+) of ([\d.]+) s")
    for problem in refusal(path), read(path, salvage=True)[1][0]:
        begin, end, length = map(float, places.fullmatch(problem).groups())
        assert begin <= 0.6 * length < end + 0.2 and end <= length


def test_ogg_cut_before_any_audio_is_called_cut(tmp_path):
    path = write(tmp_path / "a.ogg", make_noise(2000))
    os.truncate(path, pages(path)[-1])
    assert refusal(path) == "cut short: its last Ogg page is missing"
