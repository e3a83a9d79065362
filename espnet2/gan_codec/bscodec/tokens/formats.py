"""The formats of a shard's codes: how one utterance is appended, and read back.

All begin with codes (F, N_bands), frames first as in any Kaldi matrix, and give each utterance a
byte offset, so that reading one is a seek and a read in every format. No reader unpickles.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import BinaryIO, Protocol

import kaldiio
import numpy as np

from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata, TokensError, smallest_dtype

_NPY_MARK = b"NPY"  # kaldiio's, of an array in NumPy's format within an archive
_VECTOR_MARK = b"\0B\4"  # Kaldi's, of a binary vector of int32, each led by its size in bytes
_VECTOR_ITEM = np.dtype([("size", "u1"), ("value", "<i4")])
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the date of every member, so that equal codes are equal files


class ShardWriter(Protocol):
    """An open shard."""

    def add(self, name: str, codes: np.ndarray) -> int:
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

    def read(self, file: BinaryIO, offset: int, metadata: TokenMetadata) -> np.ndarray:
        """Return the codes (F, N) at ``offset``. Raises ValueError, EOFError or struct.error."""

    def place(self, path: str, offset: int) -> str:
        """Return what ``codec.scp`` says of an utterance."""


class _Ark:
    """A Kaldi archive of NumPy arrays, as ``kaldiio.load_scp`` and ESPnet's kaldi_ark read it."""

    suffix = ".ark"
    description = "kaldiio archive, a matrix (frames, bands) of the smallest integers each"

    def dtype(self, codebook_sizes: tuple[int, ...]) -> np.dtype:
        return smallest_dtype(codebook_sizes)

    @contextmanager
    def writer(self, file: BinaryIO, metadata: TokenMetadata) -> Iterator[ShardWriter]:
        yield _ArkWriter(file, metadata)

    def read(self, file: BinaryIO, offset: int, metadata: TokenMetadata) -> np.ndarray:
        file.seek(offset)
        # kaldiio would unpickle an entry that is marked so
        _expect(file.read(len(_NPY_MARK)) == _NPY_MARK)
        file.seek(int.from_bytes(file.read(1), "little"), 1)  # the size of what follows
        return np.lib.format.read_array(file, allow_pickle=False)

    def place(self, path: str, offset: int) -> str:
        return f"{path}:{offset}"


class _ArkWriter:
    def __init__(self, file: BinaryIO, metadata: TokenMetadata) -> None:
        self.file, self.dtype = file, metadata.dtype

    def add(self, name: str, codes: np.ndarray) -> int:
        start = self.file.tell()
        array = np.ascontiguousarray(codes, dtype=self.dtype)
        kaldiio.save_ark(self.file, {name: array}, write_function="numpy")
        return start + len(f"{name} ".encode())


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
        (count,) = struct.unpack("<i", file.read(4))
        _expect(count >= 0 and count % len(metadata.codebook_sizes) == 0)
        data = file.read(count * _VECTOR_ITEM.itemsize)
        _expect(len(data) == count * _VECTOR_ITEM.itemsize)
        items = np.frombuffer(data, dtype=_VECTOR_ITEM)
        _expect((items["size"] == 4).all())
        return items["value"].reshape(-1, len(metadata.codebook_sizes)) - metadata.offsets


class _SpeechLMWriter:
    def __init__(self, file: BinaryIO, metadata: TokenMetadata) -> None:
        self.file, self.offsets = file, metadata.offsets

    def add(self, name: str, codes: np.ndarray) -> int:
        start = self.file.tell()
        kaldiio.save_ark(self.file, {name: (codes + self.offsets).astype(np.int32).reshape(-1)})
        return start + len(f"{name} ".encode())


class _Npz:
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
        return np.lib.format.read_array(file, allow_pickle=False)

    def place(self, path: str, offset: int) -> str:
        return path


class _NpzWriter:
    def __init__(self, file: BinaryIO, archive: zipfile.ZipFile, metadata: TokenMetadata) -> None:
        self.file, self.archive, self.dtype = file, archive, metadata.dtype

    def add(self, name: str, codes: np.ndarray) -> int:
        member = zipfile.ZipInfo(f"{name}.npy", _EPOCH)
        with self.archive.open(member, "w", force_zip64=True) as entry:
            offset = self.file.tell()
            array = np.ascontiguousarray(codes, dtype=self.dtype)
            np.lib.format.write_array(entry, array, allow_pickle=False)
        return offset


def _expect(condition: bool) -> None:
    if not condition:
        raise ValueError("not what this program writes")


FORMATS: dict[str, Format] = {"ark": _Ark(), "npz": _Npz(), "speechlm": _SpeechLM()}
