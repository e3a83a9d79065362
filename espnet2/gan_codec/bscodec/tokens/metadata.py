"""What all codes of one folder have in common."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from textwrap import shorten
from typing import Any

import numpy as np

from espnet2.gan_codec.bscodec.format.channels import MEAN
from espnet2.gan_codec.bscodec.format.checked import integer, items, number, text
from espnet2.gan_codec.bscodec.format.header import BscHeader
from espnet2.gan_codec.bscodec.model.config import FLOAT32, PRECISIONS

LAYOUT_VERSION = 1
FORMAT_NAMES = ("ark", "npz", "speechlm", "parquet")  # as ``formats.FORMATS`` has them


class TokensError(ValueError):
    """A list or a folder of tokens that cannot be worked with: one line."""


@dataclass(frozen=True)
class TokenMetadata:
    """The model, its codes, and the way they are stored.

    Attributes:
        model: its tag.
        fingerprint: SHA-256 of its weights, 64 hex digits.
        sampling_rate: in Hz.
        hop_length: samples per frame.
        bands: (low, high) in Hz of each band, lowest first.
        codebook_sizes: of each band.
        bitrate: of the codes, in bits/s.
        format: of the shards, a name of ``formats.FORMATS``.
        dtype: of the stored integers.
        shard_size: utterances per shard, skipped ones counted as well.
        version: of the layout.
        channels: what was coded of several: ``"mean"``, or the number of one, from 1.
        precision: of the networks' products, ``"float32"`` or ``"bf16"``.
    """

    model: str
    fingerprint: str
    sampling_rate: int
    hop_length: int
    bands: tuple[tuple[float, float], ...]
    codebook_sizes: tuple[int, ...]
    bitrate: float
    format: str
    dtype: str
    shard_size: int
    version: int = LAYOUT_VERSION
    channels: str | int = MEAN
    precision: str = FLOAT32

    @classmethod
    def of(
        cls,
        header: BscHeader,
        fingerprint: str,
        form: str,
        dtype: np.dtype,
        shard_size: int,
        channels: str | int = MEAN,
        precision: str = FLOAT32,
    ) -> TokenMetadata:
        """Return the metadata of codes under ``header``, stored in the format ``form``."""
        return cls(
            model=header.model,
            fingerprint=fingerprint,
            sampling_rate=header.sampling_rate,
            hop_length=header.hop_length,
            bands=header.bands,
            codebook_sizes=header.codebook_sizes,
            bitrate=header.bitrate,
            format=form,
            dtype=str(dtype),
            shard_size=shard_size,
            channels=channels,
            precision=precision,
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any], name: str) -> TokenMetadata:
        """Undo ``to_json``; more entries are ignored. Raises TokensError, with ``name`` in it."""
        try:
            version = integer(values.get("version"))
            if version == LAYOUT_VERSION:
                return cls._checked(values)
        except KeyError as error:
            raise TokensError(f"{name}: damaged: {error} is missing") from error
        except ValueError as error:
            reason = shorten(str(error), 160, placeholder=" ...")
            raise TokensError(f"{name}: damaged: {reason}") from error
        raise TokensError(f"{name}: version {version} of the layout, expected {LAYOUT_VERSION}")

    @classmethod
    def _checked(cls, values: Mapping[str, Any]) -> TokenMetadata:
        """Raise KeyError for a missing value, ValueError for one that cannot be."""
        bands = [items(band, 2) for band in items(values["bands"])]
        channels = values.get("channels", MEAN)
        metadata = cls(
            model=text(values["model"]),
            fingerprint=text(values["fingerprint"]),
            sampling_rate=integer(values["sampling_rate"]),
            hop_length=integer(values["hop_length"]),
            bands=tuple((float(number(low)), float(number(high))) for low, high in bands),
            codebook_sizes=tuple(integer(size) for size in items(values["codebook_sizes"])),
            bitrate=number(values["bitrate"]),
            format=text(values["format"]),
            dtype=text(values["dtype"]),
            shard_size=integer(values["shard_size"], 1),
            channels=channels if channels == MEAN else integer(channels, 1),
            precision=text(values.get("precision", FLOAT32)),
        )
        metadata.header(num_samples=0)  # which raises for what no codes can have
        if metadata.format not in FORMAT_NAMES:
            raise ValueError(f"{metadata.format[:40]!r} is none of {', '.join(FORMAT_NAMES)}")
        if metadata.precision not in PRECISIONS:
            raise ValueError(f"{metadata.precision[:40]!r} is none of {', '.join(PRECISIONS)}")
        return metadata

    def to_json(self) -> dict[str, Any]:
        """Return the fields as JSON has them."""
        values = asdict(self)
        values["bands"] = [list(map(float, band)) for band in self.bands]
        if self.channels == MEAN:  # folders look as they did before there was a choice
            del values["channels"]
        if self.precision == FLOAT32:
            del values["precision"]
        return {**values, "codebook_sizes": list(self.codebook_sizes)}

    def difference(self, other: TokenMetadata) -> str | None:
        """Name the first field in which ``other`` differs, with both values; None: it does not."""
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if mine != theirs:
                return f"{field.name.replace('_', ' ')} {theirs}, not {mine}"
        return None

    def header(self, num_samples: int) -> BscHeader:
        """Return the header of a ``.bsc`` file with these codes."""
        return BscHeader(
            num_samples=num_samples,
            sampling_rate=self.sampling_rate,
            hop_length=self.hop_length,
            bands=self.bands,
            codebook_sizes=self.codebook_sizes,
            model=self.model,
            fingerprint=self.fingerprint[:8],
        )

    @property
    def offsets(self) -> np.ndarray:
        """(N,) int64: where each band's codes begin in one common vocabulary."""
        return np.cumsum([0, *self.codebook_sizes[:-1]])


def smallest_dtype(codebook_sizes: tuple[int, ...]) -> np.dtype:
    """Return the smallest signed integer type that holds all codes.

    Signed, since ESPnet's collate function pads only those as integers.
    """
    largest = max(codebook_sizes) - 1
    return next(
        np.dtype(name) for name in ("int8", "int16", "int32", "int64")
        if largest <= np.iinfo(name).max
    )  # fmt: skip
