"""The .bsc file: what goes in comes out, and nothing else is ever taken for it."""

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet2.gan_codec.bscodec.format import bitstream
from espnet2.gan_codec.bscodec.format.bitstream import BscReader, BscWriter, EncodedAudio
from espnet2.gan_codec.bscodec.format.header import BitstreamError, BscHeader

from .encoded import SMALL, make_encoded

DOCUMENT = Path(__file__).parents[3] / "docs" / "bitstream.md"


def examples_of_the_document():
    """Bytes of the two examples in docs/bitstream.md."""
    blocks = re.findall(r"```hex\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    lines = [re.findall(r"^(?:[0-9a-f]{2} )+", block, re.MULTILINE) for block in blocks]
    return [bytes.fromhex("".join(block)) for block in lines]


def test_document_examples_are_what_is_written_and_read():
    first = make_encoded(900, codes=np.array([[1, 2, 3], [4, 1023, 0]]))
    second = make_encoded(
        500,
        edges=(0, 1000.5, 11025),
        sizes=(1000, 131072),
        sampling_rate=22050,
        hop_length=256,
        model="mine",
        codes=np.array([[999, 0], [131071, 1]]),
    )
    third = make_encoded(
        900,
        edges=(0, 12000),
        sizes=(1024,),
        num_channels=2,
        original_rate=44100,
        original_samples=1654,
        codes=np.array([[[1, 2, 3]], [[4, 1023, 0]]]),
    )
    examples = [first, second, third]
    assert examples_of_the_document() == [example.dumps() for example in examples]
    assert [EncodedAudio.loads(data) for data in examples_of_the_document()] == examples


@st.composite
def encoded_audio(draw):
    num_bands = draw(st.integers(1, 8))
    steps = draw(st.lists(st.floats(1, 3000), min_size=num_bands, max_size=num_bands))
    edges = np.cumsum([draw(st.sampled_from([0, 30])), *steps])
    if draw(st.booleans()):
        edges = np.ceil(edges).astype(int)
    size = st.one_of(st.integers(2, 70000), st.integers(1, 32).map(lambda bits: 2**bits))
    sizes = draw(st.lists(size, min_size=num_bands, max_size=num_bands))
    if draw(st.booleans()):
        sizes = sizes[:1] * num_bands
    num_samples, rate = draw(st.integers(1, 5000)), draw(st.sampled_from([40, 8000, 24000, 44100]))
    original = {}
    if draw(st.booleans()):  # twice the rate and up to a half sample of the lower one beside it
        length = 2 * num_samples + draw(st.integers(-1, 1))
        original = {"original_rate": 2 * rate, "original_samples": length}
    return make_encoded(
        num_samples=num_samples,
        edges=edges.tolist(),
        sizes=sizes,
        sampling_rate=rate,
        hop_length=draw(st.sampled_from([1, 7, 320, 640])),
        model=draw(st.text(min_size=1, max_size=60).filter(lambda tag: tag.isprintable())),
        seed=draw(st.integers(0, 9)),
        num_channels=draw(st.sampled_from([1, 1, 2, 3])),
        **original,
    )


@settings(max_examples=60, deadline=None)
@given(encoded=encoded_audio())
def test_round_trip(encoded):
    data = encoded.dumps()
    assert EncodedAudio.loads(data) == encoded
    header_bytes = len(bitstream.pack_header(encoded))
    blocks = encoded.num_blocks * 4 + -(-encoded.payload_bits // 8)
    assert header_bytes + blocks <= len(data) <= header_bytes + blocks + encoded.num_blocks


def test_one_channel_is_version_1_and_what_that_cannot_hold_is_version_2():
    mono, stereo = make_encoded(1000), make_encoded(1000, num_channels=2)
    kept = make_encoded(1000, original_rate=44100, original_samples=1838)
    assert [encoded.dumps()[3] for encoded in (mono, stereo, kept)] == [1, 2, 2]
    assert stereo.codes.shape == (2, 2, 4) and kept.codes.shape == (2, 4)
    assert (stereo.bitrate, stereo.payload_bits) == (2 * mono.bitrate, 2 * mono.payload_bits)
    assert len(stereo.dumps()) == len(mono.dumps()) + 2 + mono.payload_bits // 8
    for encoded in (stereo, kept):
        data = bytearray(encoded.dumps())
        data[3] = 1  # never taken for the other version
        with pytest.raises(BitstreamError, match="the header is damaged"):
            EncodedAudio.loads(bytes(data))


def test_channels_are_played_from_their_own_codes():
    stereo = make_encoded(24000 * 11, num_channels=2)
    read = EncodedAudio.loads(stereo.dumps())
    assert read.codes.shape == (2, 2, 825) and np.array_equal(read.codes, stereo.codes)
    assert not np.array_equal(read.codes[0], read.codes[1])
    assert np.array_equal(read.lowest(1).codes, stereo.codes[:, :1])


def test_stages_of_a_band_take_as_many_bytes_as_bands():
    stages = make_encoded(edges=(0, 2000, 4000, 12000), sizes=(1024,) * 3).header
    stages = replace(stages, bands=((0, 2000), (2000, 12000), (2000, 12000)))
    data = bitstream.pack_header(stages)
    assert bitstream.unpack_header(data, "a")[0] == stages
    assert len(data) == len(
        bitstream.pack_header(make_encoded(edges=(0, 2000, 4000, 12000), sizes=(1024,) * 3))
    )


@settings(max_examples=25, deadline=None)
@given(encoded=encoded_audio(), pieces=st.lists(st.integers(0, 900), max_size=8))
def test_writer_takes_pieces_of_any_size(tmp_path_factory, encoded, pieces):
    path = tmp_path_factory.mktemp("bsc") / "a.bsc"
    ends = np.minimum(np.cumsum(pieces), encoded.num_frames).astype(int)
    header = replace(encoded.header, num_samples=0, original_samples=0)
    with BscWriter(path, header) as writer:
        for piece in np.split(encoded.codes, ends, axis=-1):
            writer.append(piece)
        writer.close(encoded.num_samples, encoded.original_samples)
    assert path.read_bytes() == encoded.dumps()
    assert os.listdir(path.parent) == ["a.bsc"]


def test_save_and_load(tmp_path):
    encoded = make_encoded(24000 * 31, sizes=(1024, 131072))
    encoded.save(tmp_path / "a.bsc")
    assert EncodedAudio.load(tmp_path / "a.bsc") == encoded
    assert (tmp_path / "a.bsc").stat().st_size == len(encoded.dumps())


def test_reader_gives_blocks_of_ten_seconds_in_any_order(tmp_path):
    encoded = make_encoded(24000 * 25)
    encoded.save(tmp_path / "a.bsc")
    with BscReader(tmp_path / "a.bsc") as reader:
        assert [block.shape for block in reader] == [(2, 750), (2, 750), (2, 375)]
        assert np.array_equal(reader.read_block(2), encoded.codes[:, 1500:])
        assert np.array_equal(reader.read_block(0), encoded.codes[:, :750])
        with pytest.raises(IndexError):
            reader.read_block(3)


PUBLISHED = {
    "BSCodec_band_vq_5band": ((0, 500, 2000, 4000, 8000, 12000), 1024, 3750),
    "BSCodec_band_simvq_3band": ((0, 2000, 4000, 12000), 131072, 3825),
    "BSCodec_band_simvq_2band": ((0, 2000, 12000), 131072, 2550),
    "bscodec-mini": ((0, 2025, 4050, 12000), 4096, 2700),
}


@pytest.mark.parametrize("model", PUBLISHED)
def test_overhead_is_below_one_percent_at_ten_seconds(model):
    edges, size, bitrate = PUBLISHED[model]
    encoded = make_encoded(240000, edges, (size,) * (len(edges) - 1), model=model)
    assert encoded.bitrate == bitrate
    assert encoded.payload_bits == 10 * bitrate
    assert len(encoded.dumps()) * 8 < 1.01 * encoded.payload_bits


def test_bits_are_those_of_the_codebook():
    encoded = make_encoded(sizes=(2, 3), codes=np.ones((2, 75), int))
    assert encoded.bits == (1, 2)
    assert make_encoded(sizes=(1024, 131072)).bits == (10, 17)
    assert make_encoded(sizes=(1025, 131071)).bits == (11, 17)


def test_lowest_bands_are_a_file_of_their_own():
    encoded = make_encoded(5000, edges=(0, 500, 2000, 12000), sizes=(16, 1024, 131072))
    lowest = EncodedAudio.loads(encoded.lowest(2).dumps())
    assert lowest.bands == ((0, 500), (500, 2000)) and lowest.codebook_sizes == (16, 1024)
    assert np.array_equal(lowest.codes, encoded.codes[:2])
    assert lowest.num_samples == encoded.num_samples
    with pytest.raises(BitstreamError, match="num_bands: 4"):
        encoded.lowest(4)


@pytest.mark.parametrize("data", [*examples_of_the_document(), SMALL.dumps()])
def test_every_changed_byte_is_found(data):
    for position in range(len(data)):
        for flip in [1, 2, 4, 8, 16, 32, 64, 128, 255]:
            damaged = bytearray(data)
            damaged[position] ^= flip
            with pytest.raises(BitstreamError) as error:
                EncodedAudio.loads(bytes(damaged))
            assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [*examples_of_the_document(), SMALL.dumps()])
def test_every_truncation_and_addition_is_found(data):
    for size in range(len(data)):
        with pytest.raises(BitstreamError, match="cut short|empty"):
            EncodedAudio.loads(data[:size])
    with pytest.raises(BitstreamError, match="1 bytes too many after the last block"):
        EncodedAudio.loads(data + b"\0")


@settings(max_examples=200, deadline=None)
@given(tail=st.binary(max_size=80))
def test_any_bytes_after_the_magic_are_refused_in_one_line(tail):
    for version in (b"\1", b"\2"):
        with pytest.raises(BitstreamError):
            EncodedAudio.loads(b"BSC" + version + tail)


def test_damage_is_named(tmp_path):
    path = tmp_path / "a.bsc"
    encoded = make_encoded(24000 * 115)
    encoded.save(path)
    data = bytearray(path.read_bytes())
    block = encoded.block_bytes(750)
    data[len(bitstream.pack_header(encoded)) + 2 * block + 7] ^= 1
    path.write_bytes(data)
    with pytest.raises(BitstreamError) as error:
        EncodedAudio.load(path)
    assert str(error.value) == f"{path}: block 3 of 12 (20.0-30.0 s) is damaged"
    with BscReader(path) as reader:  # the others can still be had
        assert np.array_equal(reader.read_block(3), encoded.codes[:, 2250:3000])


def test_exchanged_blocks_are_found():
    encoded = make_encoded(24000 * 20)
    data = encoded.dumps()
    start, size = len(bitstream.pack_header(encoded)), encoded.block_bytes(750)
    first, second = data[start : start + size], data[start + size :]
    with pytest.raises(BitstreamError, match="block 1 of 2"):
        EncodedAudio.loads(data[:start] + second + first)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the file is empty"),
        (b"RIFF....WAVE", "not a .bsc file"),
        (b"BSC\4" + bytes(40), "version 4 of the .bsc format: this program reads 1 to 3"),
        (b"BSC\1", "the file is cut short within its header"),
    ],
)
def test_foreign_files_are_named(tmp_path, data, message):
    path = tmp_path / "foreign.bsc"
    path.write_bytes(data)
    with pytest.raises(BitstreamError) as error:
        BscReader(path)
    assert str(error.value) == f"{path}: {message}"


def test_huge_sizes_are_refused_before_anything_is_allocated():
    header = replace(SMALL.header, num_samples=2**40 - 1, hop_length=1, codebook_sizes=(2, 2))
    with pytest.raises(BitstreamError, match="cut short"):
        EncodedAudio.loads(bitstream.pack_header(header) + bytes(100))


def test_a_block_that_would_take_gigabytes_is_refused(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("espnet2.gan_codec.bscodec.format.header.MAX_BLOCK_CODES", 2**60)
        huge = replace(SMALL.header, sampling_rate=2**32 - 1, hop_length=1)
        data = bitstream.pack_header(huge)
    with pytest.raises(BitstreamError, match="the header is damaged"):
        EncodedAudio.loads(data)


def test_unfinished_file_is_refused():
    header = replace(SMALL.header, num_samples=0)
    with pytest.raises(BitstreamError, match="never finished"):
        EncodedAudio.loads(bitstream.pack_header(header))


def test_longest_possible_header_fits_what_is_read():
    bands = tuple((i + 0.5, i + 1) for i in range(127))
    sizes = tuple(range(2**32 - 128, 2**32 - 1))
    header = BscHeader(
        *(2**40 - 1, 2**32 - 1, 2**32 - 1, bands, sizes, "m" * 255, "0" * 8),
        num_channels=255,
        original_rate=2**32 - 1,
        original_samples=2**40 - 1,
    )
    assert len(bitstream.pack_header(header)) <= bitstream.MAX_HEADER_BYTES
