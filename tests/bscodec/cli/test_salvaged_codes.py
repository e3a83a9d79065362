"""``decode --salvage``: undamaged blocks sound, lost ones are silent, and it is said which."""

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.format.header_bytes import pack_header

from ..experiments import assert_one_error, tree

BLOCK = 240000  # samples
LENGTH = 3 * BLOCK + 5000
TIMES = ["0.0-10.0", "10.0-20.0", "20.0-30.0", "30.0-30.2"]


@pytest.fixture(scope="module")
def made(pretrained):
    """A codec and thirty seconds of random codes of two channels: four blocks."""
    codec = Codec.from_pretrained(str(pretrained / "bscodec-mini"), "cpu")
    rng = np.random.default_rng(0)
    header = codec.header(2, 0, 2, 24000).finished(LENGTH, LENGTH)
    codes = [rng.integers(0, n, (2, header.num_frames)) for n in header.codebook_sizes]
    return codec, EncodedAudio(**vars(header), codes=np.stack(codes, axis=1))


def block_ends(encoded):
    """Where each block ends in the file."""
    start = len(pack_header(encoded))
    sizes = [encoded.block_bytes(encoded.frames_of_block(i)) for i in range(encoded.num_blocks)]
    return start, (start + np.cumsum(sizes)).tolist()


def flip(encoded, *blocks, name="a.bsc"):
    """Write the file with a bit flipped in each of these blocks, counted from 0."""
    data = bytearray(encoded.dumps())
    for index in blocks:
        data[block_ends(encoded)[1][index] - 6] ^= 16
    Path(name).write_bytes(data)


def expected_audio(codec, encoded, lost):
    """Silence for blocks that are lost; each run of others as a file of its own."""
    audio = np.zeros((LENGTH, 2), dtype=np.float32)
    first = 0
    while first < encoded.num_blocks:
        last = first
        while last < encoded.num_blocks and (last in lost) == (first in lost):
            last += 1
        if first not in lost:
            codes = encoded.codes[..., first * 750 : last * 750]
            length = min(last * BLOCK, LENGTH) - first * BLOCK
            header = encoded.header.finished(length, length)
            run = EncodedAudio(**vars(header), codes=codes)
            audio[first * BLOCK : last * BLOCK] = codec.decode(run)
        first = last
    return audio


def notes(*lost):
    return [f"bscodec: note: a.bsc: block {i + 1} of 4 ({TIMES[i]} s) is damaged" for i in lost]


@pytest.mark.parametrize("lost", [(0,), (1,), (2,), (3,), (1, 2), (0, 3), (0, 2)])
def test_damaged_blocks_are_silent_and_the_others_sound(bscodec, made, lost):
    codec, encoded = made
    flip(encoded, *lost)
    assert bscodec("decode a.bsc -o a.wav").status == 1 and tree() == ["a.bsc"]
    done = bscodec("decode a.bsc -o a.wav --salvage --float")
    assert done.status == 3 and done.err.splitlines() == notes(*lost)
    assert "a.bsc -> a.wav: 30.21 s" in done.out
    audio, rate = soundfile.read("a.wav", dtype="float32")
    assert rate == 24000 and np.array_equal(audio, expected_audio(codec, encoded, lost))
    for index in range(4):
        assert audio[index * BLOCK : (index + 1) * BLOCK].any() == (index not in lost)


def test_undamaged_blocks_sound_as_before_but_where_they_meet_silence(bscodec, made):
    codec, encoded = made
    flip(encoded, 1)
    bscodec("decode a.bsc -o a.wav --salvage --float")
    salvaged, _ = soundfile.read("a.wav", dtype="float32")
    whole, edge = codec.decode(encoded), 24000
    for part in (slice(0, BLOCK - edge), slice(2 * BLOCK + edge, LENGTH)):
        assert np.allclose(salvaged[part], whole[part], atol=1e-4)


def test_whole_files_are_decoded_as_ever(bscodec, made):
    made[1].save("a.bsc")
    assert bscodec("decode a.bsc -o a.wav").status == 0
    done = bscodec("decode a.bsc -o b.wav --salvage")
    assert (done.status, done.err) == (0, "")
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


@pytest.mark.parametrize("whole", [1, 2, 3])
@pytest.mark.parametrize("more", [0, 1, -1])  # bytes of the next block, -1: all but one
def test_what_is_cut_off_is_silent(bscodec, made, whole, more):
    codec, encoded = made
    data, (_, ends) = encoded.dumps(), block_ends(encoded)
    size = ends[whole] - 1 if more == -1 else ends[whole - 1] + more
    Path("a.bsc").write_bytes(data[:size])
    cut = f"the file is cut short: {size} of {len(data)} bytes"
    assert_one_error(bscodec("decode a.bsc -o a.wav"), f"a.bsc: {cut}")
    done = bscodec("decode a.bsc -o a.wav --salvage --float")
    which = "block 4 of 4 (30.0-30.2 s) is" if whole == 3 else f"blocks {whole + 1}-4 of 4 "
    which += "" if whole == 3 else f"({whole}0.0-30.2 s) are"
    assert done.status == 3
    assert done.err.splitlines() == [f"bscodec: note: a.bsc: {which} missing: {cut}"]
    audio, _ = soundfile.read("a.wav", dtype="float32")
    assert np.array_equal(audio, expected_audio(codec, encoded, range(whole, 4)))


@pytest.mark.parametrize("samples", [3001 * BLOCK, 2**40 - 1])
def test_a_header_that_asks_for_days_of_silence_is_refused(bscodec, made, samples):
    encoded = made[1]
    start, (*_, third, _) = block_ends(encoded)
    header = pack_header(encoded.header.finished(samples, samples))
    Path("a.bsc").write_bytes(header + encoded.dumps()[start:third])
    done = bscodec("decode a.bsc -o a.wav --salvage")
    assert_one_error(
        done, f"a.bsc: nothing to salvage: 3 of {-(-samples // BLOCK)} blocks are there"
    )
    assert tree() == ["a.bsc"]


def test_what_is_too_much_is_left_out(bscodec, made):
    made[1].save("b.bsc")
    Path("a.bsc").write_bytes(Path("b.bsc").read_bytes() + b"more")
    done = bscodec("decode a.bsc -o a.wav --salvage")
    assert done.status == 3 and len(done.notes) == 1
    assert "a.bsc: 4 bytes too many after the last block" in done.err
    bscodec("decode b.bsc -o b.wav")
    assert Path("a.wav").read_bytes() == Path("b.wav").read_bytes()


def test_a_damaged_header_stays_an_error(bscodec, made):
    encoded = made[1]
    start, (first, *_) = block_ends(encoded)
    for position in range(4, start):
        data = bytearray(encoded.dumps())
        data[position] ^= 1
        Path("a.bsc").write_bytes(data)
        assert_one_error(bscodec("decode a.bsc -o a.wav --salvage"), "the header is damaged")
    for size in (0, 2, start - 1, start, start + 1, first - 1):
        Path("a.bsc").write_bytes(encoded.dumps()[:size])
        assert_one_error(bscodec("decode a.bsc -o a.wav --salvage"), "a.bsc: ")
    flip(encoded, 0, 1, 2, 3)
    done = bscodec("decode a.bsc -o a.wav --salvage")
    assert done.status == 1 and done.notes == notes(0, 1, 2, 3)
    assert done.errors == ["bscodec: error: a.bsc: nothing to salvage: no block is undamaged"]
    assert tree() == ["a.bsc"]


@pytest.mark.parametrize("rate", ["16000", "original"])
def test_length_and_bands_are_those_asked_for(bscodec, made, rate):
    flip(made[1], 2)
    assert bscodec(f"decode a.bsc -o a.wav --salvage --bands 1 --rate {rate}").status == 3
    found = soundfile.info("a.wav")
    rate = 24000 if rate == "original" else int(rate)
    assert (found.samplerate, found.channels) == (rate, 2)
    assert found.frames == round(LENGTH * rate / 24000)


def test_all_of_a_folder_is_done_and_said_again(bscodec, made):
    os.makedirs("in")
    flip(made[1], name="in/a.bsc")
    flip(made[1], 1, name="in/b.bsc")
    flip(made[1], 2, name="in/c.bsc")
    done = bscodec("decode in -o out --salvage")
    assert done.status == 3 and len(done.notes) == 2 and "3 files: 3 made" in done.out
    assert tree("out") == ["a.wav", "b.wav", "c.wav"]
    again = bscodec("decode in -o out --salvage")
    assert again.status == 3 and again.notes == done.notes and "0 made, 3 already" in again.out
    Path("in/d.bsc").write_bytes(b"BSC\1")
    failed = bscodec("decode in -o out --salvage")
    assert failed.status == 1 and len(failed.errors) == 1


def test_pipes_are_salvaged(bscodec, made, monkeypatch, tmp_path):
    flip(made[1], 1)
    bscodec("decode a.bsc -o a.wav --salvage")
    out = tmp_path / "piped.wav"
    with open("a.bsc", "rb") as source, open(out, "w") as target:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(source))
        monkeypatch.setattr(sys, "stdout", target)
        done = bscodec("decode - -o - --salvage")
    assert done.status == 3
    assert done.notes == ["bscodec: note: standard input: block 2 of 4 (10.0-20.0 s) is damaged"]
    assert out.read_bytes() == Path("a.wav").read_bytes()


def test_codes_through_python(made):
    """Silence is asked for by codes of -1 alone; a single -1 stays an error."""
    codec, encoded = made
    codes = encoded.codes[0, :, :750]
    blocks = [codes, np.full_like(codes, -1)]
    audio = np.concatenate(list(codec.decode_blocks(blocks, 2 * BLOCK - 7)))
    assert len(audio) == 2 * BLOCK - 7 and audio[:BLOCK].any() and not audio[BLOCK:].any()
    wrong = codes.copy()
    wrong[0, 3] = -1
    with pytest.raises(ValueError):
        list(codec.decode_blocks([wrong], BLOCK))
