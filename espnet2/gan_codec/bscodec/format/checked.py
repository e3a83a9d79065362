"""Files of our own that anybody may have changed: JSON and arrays of checked types and sizes.

Whatever stands in such a file, reading it takes no more memory than the file has bytes (JSON: some
twenty times as much), and what is wrong comes as a ``Damaged``, a ValueError.
"""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from espnet2.gan_codec.bscodec.format.files import require_regular

MAX_COUNT = 1 << 48  # of anything that is counted in a file: bytes, samples, frames
MAX_TEXT = 1 << 20
_MAX_ARRAY_HEADER = 1 << 13
_SIZE_BYTES = {(1, 0): 2, (2, 0): 4}  # of the length of a header, by the version of NumPy's format
_READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class Damaged(ValueError):
    """A value of another type or size than is ever written."""


def read_json(path: Path, max_bytes: int) -> dict[str, Any]:
    """Return the object that a file of JSON holds. Raises Damaged or OSError."""
    require_regular(path)
    with open(path, "rb") as file:
        text = file.read(min(os.fstat(file.fileno()).st_size, max_bytes) + 1)
    if len(text) > max_bytes:
        raise Damaged(f"more than {max_bytes >> 20} MiB")
    return parse_json(text)


def parse_json(text: bytes) -> dict[str, Any]:
    """Return the object that a text of JSON is. Raises Damaged."""
    try:
        return mapping(json.loads(text.decode()))
    except RecursionError as error:
        raise Damaged("nested too deeply") from error
    except ValueError as error:
        raise error if isinstance(error, Damaged) else Damaged("no JSON") from error


def mapping(value: Any) -> dict[str, Any]:
    """Return a JSON object. Raises Damaged for another type."""
    if not isinstance(value, dict):
        raise Damaged(f"{_shown(value)} in the place of an object")
    return value


def items(value: Any, count: int | None = None) -> list[Any]:
    """Return a list, of ``count`` items if that is given. Raises Damaged."""
    if not isinstance(value, list) or count not in (None, len(value)):
        raise Damaged(f"{_shown(value)} in the place of a list")
    return value


def text(value: Any, longest: int = MAX_TEXT) -> str:
    """Return a string of at most ``longest`` characters. Raises Damaged."""
    if not isinstance(value, str) or len(value) > longest:
        raise Damaged(f"{_shown(value)} in the place of a text")
    return value


def integer(value: Any, low: int = 0, high: int = MAX_COUNT) -> int:
    """Return a whole number from ``low`` to ``high``. Raises Damaged."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise Damaged(f"{_shown(value)} in the place of a number from {low} to {high}")
    return value


def number(value: Any, finite: bool = True) -> float:
    """Return a number, a whole one included. Raises Damaged."""
    if isinstance(value, float) and (math.isfinite(value) or not finite):
        return value
    return integer(value, -MAX_COUNT)


def _shown(value: Any) -> str:
    """What a value looks like, in a few characters; it may be of any size."""
    if isinstance(value, dict | list):
        return f"a {type(value).__name__} of {len(value)}"
    if isinstance(value, int) and abs(value) > 1 << 64:
        return f"a number of {value.bit_length()} bits"
    return repr(value[:40] if isinstance(value, str) else value)


def take(file: BinaryIO, count: int) -> bytearray:
    """Read ``count`` bytes; memory is taken only for what is there. Raises Damaged."""
    if not 0 <= count <= os.fstat(file.fileno()).st_size - file.tell():
        raise Damaged(f"{count} bytes are not there")
    try:
        data = bytearray(count)
    except MemoryError as error:  # a file with holes may be of any size
        raise Damaged(f"not enough memory for {count} bytes") from error
    if file.readinto(data) != count:  # type: ignore[attr-defined]
        raise Damaged(f"{count} bytes are not there")
    return data


def read_array(file: BinaryIO) -> np.ndarray:
    """Read an array in NumPy's format from where the file is; objects are refused.

    Raises:
        Damaged: no such array, or less of it than its header says.
    """
    start = file.tell()
    try:
        version = np.lib.format.read_magic(file)
        size = int.from_bytes(take(file, _SIZE_BYTES[version]), "little")
        if size > _MAX_ARRAY_HEADER:
            raise Damaged(f"a header of {size} bytes")
        file.seek(start + np.lib.format.MAGIC_LEN)
        shape, is_fortran, dtype = _READ_HEADER[version](file)
    except OSError:
        raise
    except Exception as error:  # NumPy's parser of headers says it in many ways
        raise Damaged("no array that this program reads") from error
    possible = len(shape) <= 8 and all(0 <= length <= MAX_COUNT for length in shape)
    if dtype.hasobject or dtype.names or not dtype.itemsize or not possible:
        raise Damaged(f"an array of {dtype} {shape}")
    data = take(file, math.prod(shape) * dtype.itemsize)
    array = np.frombuffer(data, dtype=dtype)
    return array.reshape(shape[::-1]).T if is_fortran else array.reshape(shape)
