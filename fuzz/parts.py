"""Inputs as named parts, and back with all checksums mended: what is changed gets past them."""

from __future__ import annotations

import hashlib
import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass

from espnet2.gan_codec.bscodec.format.blocks import CodedLayout, block_crc
from espnet2.gan_codec.bscodec.format.cursor import pack_varint
from espnet2.gan_codec.bscodec.format.header import CRC_BYTES, BitstreamError
from espnet2.gan_codec.bscodec.format.header_bytes import unpack_header
from espnet2.gan_codec.bscodec.tokens.shards import _check

MARK = b"\n=====\n"  # between the files of an input that stands for several
TOKEN_FILES = ("meta.json", "index.tsv", "shards/codes.00000.json", "shards/codes.00000")
MODEL_FILES = ("config.yaml", "weights")
_MAX_BYTES = 1 << 16  # of a mended file
_BETWEEN_WORDS = re.compile(rb"([][{},:\n])")
_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Layout:
    """How inputs of one kind are taken apart (None: they cannot be) and put together."""

    split: Callable[[bytes], dict[str, bytes] | None]
    join: Callable[[dict[str, bytes]], bytes]


def mutated(
    layout: Layout, data: bytes, mutate: Callable[[bytes], bytes], rng: random.Random
) -> bytes:
    """Return ``data`` with one part changed by ``mutate``; now and then the whole, unmended."""
    parts = layout.split(data)
    if not parts or rng.random() < 0.1:
        return mutate(data)
    name = rng.choice(sorted(parts))
    return layout.join({**parts, name: mutate(parts[name])})


def _crc(data: bytes) -> bytes:
    return struct.pack("<I", zlib.crc32(data))


def _split_bsc(data: bytes) -> dict[str, bytes] | None:
    try:
        header, start = unpack_header(data, "input")
    except BitstreamError:
        return None
    if header.predictor:
        layout = CodedLayout(io.BytesIO(data), header, start, len(data), search=False)
        spans = filter(None, map(layout.span, range(layout.num_there)))
        payloads = {f"{i:06}": data[s.start : s.start + s.size] for i, s in enumerate(spans)}
        return {"header": data[: start - CRC_BYTES], **payloads}
    size = header.block_bytes(header.frames_per_block)
    blocks = (data[i : i + size][:-CRC_BYTES] for i in range(start, len(data), size))
    return {"header": data[: start - CRC_BYTES], "codes": b"".join(blocks)}


def _join_bsc(parts: dict[str, bytes]) -> bytes:
    """With as many codes as the header asks for, zeros where there are too few."""
    header_bytes, *payloads = parts.values()
    data = header_bytes + _crc(header_bytes)
    if "codes" not in parts:
        for index, payload in enumerate(payloads):
            prefix = pack_varint(index) + pack_varint(len(payload))
            data += prefix + payload + block_crc(index, payload)
        return data
    codes = parts["codes"]
    try:
        header, _ = unpack_header(data, "input")
    except BitstreamError:
        return data + codes
    for index in range(header.num_blocks):
        size = header.block_bytes(header.frames_of_block(index)) - CRC_BYTES
        if len(data) + size > _MAX_BYTES:
            break
        payload, codes = codes[:size].ljust(size, b"\0"), codes[size:]
        data += payload + block_crc(index, payload)
    return data


def split_files(names: tuple[str, ...], data: bytes) -> dict[str, bytes]:
    """Return the files that an input stands for; those that are missing are empty."""
    found = data.split(MARK, len(names) - 1)
    return dict(zip(names, [*found, *[b""] * (len(names) - len(found))], strict=True))


def _join_files(parts: dict[str, bytes]) -> bytes:
    return MARK.join(parts.values())


def _join_tokens(parts: dict[str, bytes]) -> bytes:
    """With the digest of the codes in the index of the shard, and the index's own."""
    index, codes = TOKEN_FILES[2:]
    try:
        values = json.loads(parts[index])
        values = {**values, "data": hashlib.sha256(parts[codes]).hexdigest()}
        values.pop("check", None)
        text = json.dumps({"check": _check(values), **values}).encode()
    except (ValueError, TypeError, RecursionError):
        return _join_files(parts)
    return _join_files({**parts, index: text})


def _split_weights(data: bytes) -> dict[str, bytes] | None:
    """The members of an archive; the header and the rest of a file of safetensors."""
    if not data.startswith(b"PK"):
        size = int.from_bytes(data[:8], "little")
        if not 0 < size <= len(data) - 8:
            return None
        return {"header": data[8 : 8 + size], "values": data[8 + size :]}
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}
    except Exception:  # zipfile says in many ways that it is none
        return None


def _join_weights(parts: dict[str, bytes]) -> bytes:
    if [*parts] == ["header", "values"]:
        return struct.pack("<Q", len(parts["header"])) + parts["header"] + parts["values"]
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, value in parts.items():
            archive.writestr(zipfile.ZipInfo(name, _DATE), value)
    return file.getvalue()


def _split_model(data: bytes) -> dict[str, bytes]:
    config, weights = split_files(MODEL_FILES, data).values()
    return {"config.yaml": config, **(_split_weights(weights) or {"weights": weights})}


def _join_model(parts: dict[str, bytes]) -> bytes:
    config, *names = parts
    inner = {name: parts[name] for name in names}
    weights = inner["weights"] if names == ["weights"] else _join_weights(inner)
    return parts[config] + MARK + weights


def _split_text(data: bytes) -> dict[str, bytes]:
    """The words of JSON or YAML, and what stands between them."""
    return {f"{i:06}": word for i, word in enumerate(_BETWEEN_WORDS.split(data))}


TEXT = Layout(_split_text, lambda parts: b"".join(parts.values()))
BSC = Layout(_split_bsc, _join_bsc)
HEADER = Layout(
    lambda data: {"header": data[:-CRC_BYTES]}, lambda p: p["header"] + _crc(p["header"])
)
TOKENS = Layout(lambda data: split_files(TOKEN_FILES, data), _join_tokens)
WEIGHTS = Layout(_split_weights, _join_weights)
MODEL = Layout(_split_model, _join_model)
