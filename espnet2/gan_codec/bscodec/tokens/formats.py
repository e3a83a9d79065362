"""The formats of a shard's codes: how one utterance is appended, and read back.

All begin with codes (F, N_bands), frames first as in any Kaldi matrix, and give each utterance an
offset, in bytes or of Parquet in rows, so that one can be read alone. No reader unpickles.

Archives hold objects of Kaldi's own alone, which Kaldi, kaldiio and omniio (ESPnet's reader from
202610 on) agree about. Kaldi has no matrices of integers, and its compressed ones do not come back
as whole numbers from all readers, so ``ark`` stores 32-bit floats.
"""

from __future__ import annotations

import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, BinaryIO, Protocol

import numpy as np

from espnet2.gan_codec.bscodec.format.checked import read_array, take
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata, TokensError, smallest_dtype
from espnet2.gan_codec.bscodec.tokens.parquet import Parquet

_MATRIX_MARK = b"\0BFM "  # Kaldi's, of a binary matrix of float32
_MATRIX_SIZES = struct.Struct("<bibi")  # its rows and columns, each led by its own size in bytes
_NPY_MARK = b"NPY"  # kaldiio's, of an array in NumPy's format: what version 0.1.0 wrote
_VECTOR_MARK = b"\0B\4"  # Kaldi's, of a binary vector of int32, each led by its size in bytes
_VECTOR_ITEM = np.dtype([("size", "u1"), ("value", "<i4")])
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every member, so that equal codes are equal files


class ShardWriter(Protocol):
    """An open shard."""

    def add(self, name: str, codes: np.ndarray, samples: int) -> int:
        """Append codes (F, N) of any integer type; return the offset to read them at."""


class Format(Protocol):
    """A format: what is stored, where, and how."""

    suffix: str
    description: str

    def dtype(self, codebook_sizes: tuple[int, ...]) -> np.dtype:
        """Return the type of the stored integers."""

    def writer(
        self, file: BinaryIO, metadata: TokenMetadata
    ) -> AbstractContextManager[ShardWriter]:
        """Return a context manager that writes a shard to ``file``."""

    def open(self, path: os.PathLike) -> Any:
        """Open a shard for ``read``; it has a ``name`` and a ``close``. Raises OSError."""

    def read(self, file: Any, offset: int, metadata: TokenMetadata) -> np.ndarray:
        """Return the codes (F, N) at ``offset``. Raises ValueError."""

    def place(self, path: str, offset: int) -> str:
        """Return what ``codec.scp`` says of an utterance."""


class _File:
    """A format that is read by a seek in a plain file."""

    def open(self, path: os.PathLike) -> BinaryIO:
        return open(path, "rb")


class _Ark(_File):
    """A Kaldi archive of matrices, as Kaldi, kaldiio and ESPnet's ``kaldi_ark`` read it."""

    suffix = ".ark"
    description = "Kaldi archive, a matrix (frames, bands) of float32 each, whole numbers"

    def dtype(self, codebook_sizes: tuple[int, ...]) -> np.dtype:
        if max(codebook_sizes) > 2**24:
            raise TokensError(
                "ark: a codebook with more than 2**24 entries, which float32 cannot number "
                "(use --format npz)"
            )
        return np.dtype(np.float32)

    @contextmanager
    def writer(self, file: BinaryIO, metadata: TokenMetadata) -> Iterator[ShardWriter]:
        yield _ArkWriter(file)

    def read(self, file: BinaryIO, offset: int, metadata: TokenMetadata) -> np.ndarray:
        file.seek(offset)
        if file.read(len(_NPY_MARK)) == _NPY_MARK:
            file.seek(int.from_bytes(file.read(1), "little"), 1)  # the size of what follows
            return read_array(file)
        file.seek(offset)
        _expect(file.read(len(_MATRIX_MARK)) == _MATRIX_MARK)
        four, frames, four_too, bands = _MATRIX_SIZES.unpack(take(file, _MATRIX_SIZES.size))
        _expect(four == four_too == 4 and frames >= 0 and bands == len(metadata.codebook_sizes))
        data = take(file, frames * bands * 4)
        values = np.frombuffer(data, dtype="<f4").reshape(frames, bands)
        _expect(bool(((values >= 0) & (values < metadata.codebook_sizes)).all()))
        return values.astype(smallest_dtype(metadata.codebook_sizes))

    def place(self, path: str, offset: int) -> str:
        return f"{path}:{offset}"


class _ArkWriter:
    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def add(self, name: str, codes: np.ndarray, samples: int) -> int:
        sizes = _MATRIX_SIZES.pack(4, codes.shape[0], 4, codes.shape[1])
        return _append(self.file, name, _MATRIX_MARK + sizes + codes.astype("<f4").tobytes())


def _append(file: BinaryIO, name: str, value: bytes) -> int:
    key = f"{name} ".encode()
    start = file.tell() + len(key)
    file.write(key + value)
    return start


class _SpeechLM(_Ark):
    """A Kaldi archive of int32 vectors as the data of ESPnet's speech LM has them.

    Frame by frame, all bands of a frame one after the other, in one vocabulary: the codes of
    band i are shifted by the sizes of the codebooks before it.
    """

    description = "Kaldi archive of int32 vectors: frame by frame, each band in a range of its own"

    def dtype(self, codebook_sizes: tuple[int, ...]) -> np.dtype:
        if sum(codebook_sizes) > np.iinfo(np.int32).max:
            raise TokensError("speechlm: codebooks with more than 2**31 entries together")
        return np.dtype(np.int32)

    @contextmanager
    def writer(self, file: BinaryIO, metadata: TokenMetadata) -> Iterator[ShardWriter]:
        yield _SpeechLMWriter(file, metadata)

    def read(self, file: BinaryIO, offset: int, metadata: TokenMetadata) -> np.ndarray:
        file.seek(offset)
        _expect(file.read(len(_VECTOR_MARK)) == _VECTOR_MARK)
        (count,) = struct.unpack("<i", take(file, 4))
        _expect(count >= 0 and count % len(metadata.codebook_sizes) == 0)
        items = np.frombuffer(take(file, count * _VECTOR_ITEM.itemsize), dtype=_VECTOR_ITEM)
        _expect((items["size"] == 4).all())
        return items["value"].reshape(-1, len(metadata.codebook_sizes)) - metadata.offsets


class _SpeechLMWriter:
    def __init__(self, file: BinaryIO, metadata: TokenMetadata) -> None:
        self.file, self.offsets = file, metadata.offsets

    def add(self, name: str, codes: np.ndarray, samples: int) -> int:
        values = (codes + self.offsets).reshape(-1)
        items = np.empty(len(values), dtype=_VECTOR_ITEM)
        items["size"], items["value"] = 4, values
        size = struct.pack("<i", len(values))
        return _append(self.file, name, _VECTOR_MARK + size + items.tobytes())


class _Npz(_File):
    """NumPy's own archive, a member of the utterance's name each, not compressed."""

    suffix = ".npz"
    description = "numpy.load(...)[name], a matrix (frames, bands) of the smallest integers each"

    def dtype(self, codebook_sizes: tuple[int, ...]) -> np.dtype:
        return smallest_dtype(codebook_sizes)

    @contextmanager
    def writer(self, file: BinaryIO, metadata: TokenMetadata) -> Iterator[ShardWriter]:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            yield _NpzWriter(file, archive, metadata)

    def read(self, file: BinaryIO, offset: int, metadata: TokenMetadata) -> np.ndarray:
        file.seek(offset)
        return read_array(file)

    def place(self, path: str, offset: int) -> str:
        return path


class _NpzWriter:
    def __init__(self, file: BinaryIO, archive: zipfile.ZipFile, metadata: TokenMetadata) -> None:
        self.file, self.archive, self.dtype = file, archive, metadata.dtype

    def add(self, name: str, codes: np.ndarray, samples: int) -> int:
        member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
        with self.archive.open(member, "w", force_zip64=True) as entry:
            offset = self.file.tell()
            array = np.ascontiguousarray(codes, dtype=self.dtype)
            np.lib.format.write_array(entry, array, allow_pickle=False)
        return offset


def _expect(condition: bool) -> None:
    if not condition:
        raise ValueError("not what this program writes")


FORMATS: dict[str, Format] = {
    "ark": _Ark(),
    "npz": _Npz(),
    "speechlm": _SpeechLM(),
    "parquet": Parquet(),
}
