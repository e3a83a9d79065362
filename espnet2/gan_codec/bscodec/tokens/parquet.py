"""Shards as Parquet files: a row an utterance, for readers that know nothing of this package."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np

from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata, TokensError, smallest_dtype

METADATA_KEY = b"bscodec"  # in the schema: the metadata of the codes, as JSON
ROWS = 100  # of a row group: so many are read for one


class ParquetFile:
    """An open shard, which keeps the row group that it has read last."""

    def __init__(self, path: os.PathLike) -> None:
        self.name = os.fspath(path)
        self._file = open(path, "rb")
        self._parquet: Any = None
        self._group: tuple[int, Any] = (-1, None)

    def close(self) -> None:
        self._file.close()

    def codes(self, row: int) -> np.ndarray:
        """Return the codes (F, N) of a row. Raises ValueError."""
        pyarrow = import_pyarrow()
        try:
            if self._parquet is None:
                self._parquet = pyarrow.parquet.ParquetFile(self._file)
            if self._group[0] != row // ROWS:
                table = self._parquet.read_row_group(row // ROWS, columns=["codes"])
                self._group = row // ROWS, table.column("codes")
            bands = self._group[1][row % ROWS].values
            return np.stack([band.values.to_numpy() for band in bands], axis=1)
        except (
            *(pyarrow.ArrowException, LookupError, AttributeError, OSError),
            TypeError,  # of a row that is null or no list
        ) as error:
            raise ValueError(str(error)) from error


class Parquet:
    """The format ``parquet``: columns name, codes (bands of frames), frames and samples."""

    suffix = ".parquet"
    description = "Parquet, a row an utterance: name, codes (a list a band), frames, samples"

    def dtype(self, codebook_sizes: tuple[int, ...]) -> np.dtype:
        """Return int16, or what larger codebooks take. Raises TokensError: no pyarrow."""
        import_pyarrow()
        return np.promote_types(np.int16, smallest_dtype(codebook_sizes))

    @contextmanager
    def writer(self, file: BinaryIO, metadata: TokenMetadata) -> Iterator[_Writer]:
        pyarrow = import_pyarrow()
        schema = _schema(pyarrow, metadata)
        with pyarrow.parquet.ParquetWriter(
            file, schema, compression="zstd", use_dictionary=False, write_page_checksum=True
        ) as output:
            writer = _Writer(pyarrow, output, schema, np.dtype(metadata.dtype), metadata)
            yield writer
            writer.flush()

    def open(self, path: os.PathLike) -> ParquetFile:
        return ParquetFile(path)

    def read(self, file: ParquetFile, offset: int, metadata: TokenMetadata) -> np.ndarray:
        return file.codes(offset)

    def place(self, path: str, offset: int) -> str:
        return path


class _Writer:
    def __init__(
        self, pyarrow: Any, output: Any, schema: Any, dtype: np.dtype, metadata: TokenMetadata
    ) -> None:
        self.pyarrow, self.output, self.schema, self.dtype = pyarrow, output, schema, dtype
        self.num_bands = len(metadata.codebook_sizes)
        self.count = 0
        self.rows: list[tuple[str, np.ndarray, int]] = []

    def add(self, name: str, codes: np.ndarray, samples: int) -> int:
        self.rows.append((name, np.ascontiguousarray(codes.T, dtype=self.dtype), samples))
        self.count += 1
        if len(self.rows) == ROWS:
            self.flush()
        return self.count - 1

    def flush(self) -> None:
        """Write what has come together as a row group."""
        if not self.rows:
            return
        names, codes, samples = zip(*self.rows, strict=True)
        self.rows = []
        frames = np.array([array.shape[1] for array in codes], dtype=np.int32)
        ends = np.cumsum(np.repeat(frames, self.num_bands), dtype=np.int32)
        make = self.pyarrow.ListArray.from_arrays
        bands = make(np.append(np.int32(0), ends), np.concatenate([c.ravel() for c in codes]))
        starts = np.arange(len(codes) + 1, dtype=np.int32) * np.int32(self.num_bands)
        columns = [names, make(starts, bands), frames, np.array(samples, dtype=np.int64)]
        arrays = [
            column if isinstance(column, self.pyarrow.Array) else self.pyarrow.array(column)
            for column in columns
        ]
        self.output.write_table(self.pyarrow.Table.from_arrays(arrays, schema=self.schema))


def _schema(pyarrow: Any, metadata: TokenMetadata) -> Any:
    codes = pyarrow.from_numpy_dtype(np.dtype(metadata.dtype))
    return pyarrow.schema(
        [
            ("name", pyarrow.string()),
            ("codes", pyarrow.list_(pyarrow.list_(codes))),
            ("frames", pyarrow.int32()),
            ("samples", pyarrow.int64()),
        ],
        metadata={METADATA_KEY: json.dumps(metadata.to_json())},
    )


def import_pyarrow() -> Any:
    """Return pyarrow with its Parquet. Raises TokensError: it is not installed."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise TokensError(f"parquet: {error}: pip install 'espnet-bscodec[parquet]'") from error
    return pyarrow
