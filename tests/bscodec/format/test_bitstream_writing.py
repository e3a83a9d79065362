"""What no .bsc file can hold is refused, and a file that is not finished leaves nothing."""

import errno
import os
from dataclasses import replace

import numpy as np
import pytest

from espnet2.gan_codec.bscodec.format import atomic
from espnet2.gan_codec.bscodec.format.bitstream import BscWriter
from espnet2.gan_codec.bscodec.format.header import BitstreamError

from .encoded import SMALL, make_encoded


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (dict(num_samples=2**40), "num_samples"),
        (dict(sampling_rate=0), "sampling_rate"),
        (dict(hop_length=0), "hop_length"),
        (dict(bands=()), "bands"),
        (dict(bands=((0, 10), (10, 5))), "bands"),
        (dict(bands=((0, 10), (10, float("nan")))), "bands"),
        (dict(codebook_sizes=(1024,)), "codebook_sizes"),
        (dict(codebook_sizes=(1, 1024)), "codebook_sizes"),
        (dict(codebook_sizes=(2**33, 1024)), "codebook_sizes"),
        (dict(model=""), "model"),
        (dict(model="é" * 128), "model"),
        (dict(fingerprint="abc"), "fingerprint"),
        (dict(num_channels=0), "num_channels"),
        (dict(num_channels=256), "num_channels"),
        (dict(original_rate=2**32, original_samples=1), "original_rate"),
        (dict(original_rate=48000), "original_samples"),
        (dict(original_samples=1000), "original_samples"),
        (dict(original_rate=48000, original_samples=1998), "original_samples"),
        (dict(original_rate=48000, original_samples=2002), "original_samples"),
        (dict(original_rate=48000, original_samples=2**40), "original_samples"),
    ],
)
def test_headers_that_cannot_be_stored_are_refused(values, message):
    with pytest.raises(BitstreamError, match=f"^{message}: .* cannot be stored"):
        replace(SMALL.header, **values)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((2, 3), int), "3 frames of codes for 1000 samples: expected 4"),
        (np.zeros((3, 4), int), "expected integers"),
        (np.zeros((2, 4)), "expected integers"),
        (np.zeros((2, 2, 4), int), r"expected integers \(2, frames\)"),
        (np.full((2, 4), -1), "codes of band 0 leave their codebook of 1000"),
        (np.array([[0] * 4, [131072] * 4]), "codes of band 1 leave their codebook of 131072"),
    ],
)
def test_codes_that_do_not_fit_are_refused(codes, message):
    with pytest.raises(BitstreamError, match=message):
        replace(SMALL, codes=codes)


def test_wrong_length_leaves_no_file(tmp_path):
    with pytest.raises(BitstreamError, match="3 frames were written for 1000 samples"):
        with BscWriter(tmp_path / "a.bsc", replace(SMALL.header, num_samples=0)) as writer:
            writer.append(SMALL.codes[:, :3])
            writer.close(1000)
    assert os.listdir(tmp_path) == []


def test_interrupted_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.bsc"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        with BscWriter(path, SMALL.header) as writer:
            writer.append(SMALL.codes)
            raise KeyboardInterrupt
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["a.bsc"]


class FullDisk:
    """A file on a disk that has room for ``room`` bytes."""

    def __init__(self, file, room):
        self.file, self.room = file, room

    def write(self, data):
        self.room -= len(data)
        if self.room < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)


@pytest.mark.parametrize("room", [0, 60, 2000])
def test_full_disk_leaves_nothing(tmp_path, monkeypatch, room):
    encoded = make_encoded(24000 * 25)
    monkeypatch.setattr(atomic, "open", lambda *args: FullDisk(open(*args), room), raising=False)
    with pytest.raises(OSError, match="No space left"):
        encoded.save(tmp_path / "a.bsc")
    assert os.listdir(tmp_path) == []
