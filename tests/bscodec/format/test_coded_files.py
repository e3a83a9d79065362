"""Entropy-coded .bsc files (version 3): the same codes in fewer bytes; damage is named."""

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from espnet2.gan_codec.bscodec.format import bitstream
from espnet2.gan_codec.bscodec.format.bitstream import BscReader, EncodedAudio
from espnet2.gan_codec.bscodec.format.blocks import block_crc
from espnet2.gan_codec.bscodec.format.cursor import pack_varint
from espnet2.gan_codec.bscodec.format.header import BitstreamError
from espnet2.gan_codec.bscodec.format.header_bytes import pack_header
from espnet2.gan_codec.bscodec.format.salvage import MISSING, salvage
from fuzz.predictors import coder

from .encoded import make_encoded

SLOW = {"sampling_rate": 10, "hop_length": 4}  # 25 frames in ten seconds


def find_coder(header, name):
    assert header.predictor == coder().fingerprint
    return coder()


def mixed(num_blocks=6, **values):
    """Blocks of likely and unlikely codes in turn; the last one is short."""
    encoded = make_encoded(100 * num_blocks - 50, sizes=(16, 1000), **SLOW, **values)
    codes = encoded.codes.copy()
    for start in range(0, encoded.num_frames, 50):
        codes[..., start : start + 25] = 0
    return replace(encoded, codes=codes)


def spans(data):
    """Start of each block's prefix and end of its checksum."""
    with open_bytes(data) as reader:
        found = [reader._layout.span(i) for i in range(reader.header.num_blocks)]
    ends = [span.start + span.size + 4 for span in found]
    header = len(pack_header(reader.header))
    return list(zip([header, *ends], ends, strict=False)), [span.size for span in found]


def open_bytes(data, any_size=False):
    return BscReader(io.BytesIO(data), any_size=any_size, find_coder=find_coder)


@settings(max_examples=15)
@given(
    num_samples=st.integers(1, 450),
    num_channels=st.sampled_from([1, 3]),
    num_bands=st.sampled_from([1, 2]),
    seed=st.integers(0, 5),
)
def test_round_trip(num_samples, num_channels, num_bands, seed):
    encoded = make_encoded(
        num_samples, sizes=(16, 1000), num_channels=num_channels, seed=seed, **SLOW
    ).lowest(num_bands)
    data = encoded.dumps(coder())
    assert data[3] == 3 and EncodedAudio.loads(data, find_coder) == encoded
    plain = len(encoded.dumps())
    assert len(data) <= plain + 6 + encoded.num_blocks * 3  # never more than lengths and names


def test_blocks_are_coded_where_that_is_shorter_and_each_for_itself():
    encoded = mixed()
    data = encoded.dumps(coder())
    places, sizes = spans(data)
    plain = [encoded.payload_bytes(encoded.frames_of_block(i)) for i in range(6)]
    assert [s < p for s, p in zip(sizes, plain, strict=True)] == [True, False] * 3
    for index, (start, end) in enumerate(places):
        codes = encoded.codes[..., index * 25 : index * 25 + 25]
        length = min(100, encoded.num_samples - index * 100)
        alone = EncodedAudio(**vars(replace(encoded.header, num_samples=length)), codes=codes)
        # but for its number, which the checksum covers as well
        assert alone.dumps(coder())[:-4].endswith(data[start + 1 : end - 4])


def test_the_writer_and_dumps_agree_and_other_codes_stay_plain(tmp_path):
    encoded = mixed(num_channels=2)
    encoded.save(tmp_path / "a.bsc", coder())
    assert (tmp_path / "a.bsc").read_bytes() == encoded.dumps(coder())
    read = EncodedAudio.load(tmp_path / "a.bsc", find_coder)
    assert read == encoded and read.dumps() == encoded.dumps()  # a plain file again
    with pytest.raises(BitstreamError, match="a.bsc: its codes are entropy-coded"):
        EncodedAudio.load(tmp_path / "a.bsc")
    with BscReader(tmp_path / "a.bsc") as reader:  # which needs no coder
        sizes = [reader.check_block(i) for i in range(6)]
    assert sizes == spans(encoded.dumps(coder()))[1]


def test_any_number_of_blocks_at_once_gives_the_same(monkeypatch):
    encoded = mixed(7)
    data = encoded.dumps(coder())
    for rows in (1, 2, 3, 100):
        monkeypatch.setattr(bitstream, "ROWS_AT_ONCE", rows)
        assert EncodedAudio.loads(data, find_coder) == encoded


def test_every_flipped_bit_and_every_cut_is_an_error():
    data = mixed(3).dumps(coder())
    for index in range(len(data)):
        changed = bytearray(data)
        changed[index] ^= 1 << index % 8
        for other in (bytes(changed), data[:index], data + data[: index + 1]):
            with pytest.raises(BitstreamError, match="bitstream") as error:
                EncodedAudio.loads(other, find_coder)
            assert "\n" not in str(error.value)


@pytest.mark.parametrize("lost", [(0,), (2,), (5,), (1, 2), (0, 3, 4)])
@pytest.mark.parametrize("where", ["prefix", "size", "payload", "checksum"])
def test_salvage_finds_the_other_blocks(lost, where):
    encoded = mixed()
    data = encoded.dumps(coder())
    places, _ = spans(data)
    changed = bytearray(data)
    for index in lost:
        start, end = places[index]
        changed[
            {"prefix": start, "size": start + 1, "payload": end - 5, "checksum": end - 1}[where]
        ] ^= 1
    lines = []
    with open_bytes(bytes(changed), any_size=True) as reader:
        codes = np.concatenate(list(salvage(reader, lines.append)), axis=-1)
    expected = encoded.codes.copy()
    for index in lost:
        expected[..., index * 25 : index * 25 + 25] = MISSING
    assert np.array_equal(codes, expected) and lines


@pytest.mark.parametrize("cut", [1, 5, 20])
def test_salvage_of_a_cut_file_and_of_one_with_bytes_missing_within(cut):
    encoded = mixed()
    data = encoded.dumps(coder())
    places, _ = spans(data)
    for kept, lost in (
        (data[:-cut], 5),
        (data[: places[1][0] + 2] + data[places[1][0] + 2 + cut :], 1),
    ):
        lines = []
        with open_bytes(kept, any_size=True) as reader:
            codes = np.concatenate(list(salvage(reader, lines.append)), axis=-1)
        expected = encoded.codes.copy()
        expected[..., lost * 25 : lost * 25 + 25] = MISSING
        assert np.array_equal(codes, expected) and lines


def test_other_spellings_are_refused():
    encoded = make_encoded(40, sizes=(16, 1000), **SLOW)
    likely = replace(encoded, codes=0 * encoded.codes)
    header = pack_header(replace(likely.header, predictor=coder().fingerprint))
    plain = bytes(likely.payload_bytes(10))
    short = coder().encode(likely.codes[None])
    unlikely = coder().encode(encoded.codes[None])
    assert len(short) < len(plain)

    def file(prefix, payload):
        return header + prefix + payload + block_crc(0, payload)

    accepted = file(pack_varint(0) + pack_varint(len(short)), short)
    assert accepted == likely.dumps(coder())
    for prefix, payload in (
        (pack_varint(0) + pack_varint(len(plain)), plain),  # is shorter coded
        (b"\x80\0" + pack_varint(len(short)), short),  # a longer varint
        (pack_varint(1) + pack_varint(len(short)), short),  # another number
        (pack_varint(0) + pack_varint(len(short) + 4), short + bytes(4)),
        (pack_varint(0) + pack_varint(len(unlikely)), unlikely),  # is shorter plain
        (pack_varint(0) + pack_varint(0), b""),
    ):
        with pytest.raises(BitstreamError, match="damaged|too many"):
            EncodedAudio.loads(file(prefix, payload), find_coder)


def test_a_header_that_asks_for_much_from_few_bytes_is_refused():
    many = make_encoded(sampling_rate=24000, hop_length=1, num_samples=10).header
    with pytest.raises(BitstreamError, match="entropy-coded codes in ten seconds"):
        replace(many, predictor="0" * 8, num_channels=4)
    for wrong in ("0badc0d", "0BADC0DE"):
        with pytest.raises(BitstreamError, match="predictor"):
            replace(make_encoded().header, predictor=wrong)
