"""Writing a ``.bsc`` file block by block."""

import os
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import numpy as np

from espnet2.gan_codec.bscodec.format.atomic import create_temporary
from espnet2.gan_codec.bscodec.format.blocks import BlockCoder, pack_block
from espnet2.gan_codec.bscodec.format.header import BitstreamError, BscHeader
from espnet2.gan_codec.bscodec.format.header_bytes import pack_header


class BscWriter:
    """Write a ``.bsc`` file from chunks of codes of any number of frames.

    Used as a context manager: the file appears under its name when the ``with`` block ends well,
    and leaves nothing behind when it does not. ``num_samples`` of the header may be 0 while it is
    not known; ``close(num_samples)`` then puts in the length (and the original one, where the
    header keeps the original rate). With a coder, blocks are entropy-coded.
    """

    def __init__(
        self, path: str | os.PathLike, header: BscHeader, coder: BlockCoder | None = None
    ) -> None:
        self.path = Path(path)
        self.header, self._coder = coded_by(header, coder), coder
        self._pending = np.zeros((*header.codes_shape, 0), dtype=np.int64)
        self._num_blocks = 0
        self._is_done = False
        self._file = create_temporary(self.path)
        self._temporary = Path(self._file.name)
        try:
            self._file.write(pack_header(self.header))
        except BaseException:
            self.abort()
            raise

    def append(self, codes: np.ndarray) -> None:
        """Add the next frames, of any integer type.

        Args:
            codes: (num_bands, any number of frames), or (num_channels, num_bands, ...).
        """
        codes = checked_codes(self.header, codes)
        self._pending = np.concatenate([self._pending, codes], axis=-1)
        size = self.header.frames_per_block
        while self._pending.shape[-1] >= size:
            self._write_block(self._pending[..., :size])
            self._pending = self._pending[..., size:]

    def close(self, num_samples: int | None = None, original_samples: int = 0) -> None:
        """Finish the file.

        Raises:
            BitstreamError: the number of frames does not belong to ``num_samples``.
            OSError: the disk is full.
        """
        try:
            header = self.header
            if num_samples is not None:
                header = self.header = replace(
                    header, num_samples=num_samples, original_samples=original_samples
                )
            frames = self._num_blocks * header.frames_per_block + self._pending.shape[-1]
            if header.num_samples < 1 or frames != header.num_frames:
                raise BitstreamError(
                    f"{self.path}: {frames} frames were written for {header.num_samples} samples"
                )
            if self._pending.shape[-1]:
                self._write_block(self._pending)
            self._file.seek(0)
            self._file.write(pack_header(header))
            self._file.flush()
            os.replace(self._temporary, self.path)
            self._is_done = True
            self._file.close()
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        """Forget the file: nothing of it stays on disk."""
        if not self._is_done:
            self._is_done = True
            self._temporary.unlink(missing_ok=True)
            try:
                self._file.close()
            except OSError:
                pass  # the flush of a file that is gone already; the first error is the one to see

    def __enter__(self) -> "BscWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, _: TracebackType | None):
        if kind is not None:
            self.abort()
        elif not self._is_done:
            self.close()

    def _write_block(self, codes: np.ndarray) -> None:
        self._file.write(pack_block(self.header, self._num_blocks, codes, self._coder))
        self._num_blocks += 1


def checked_codes(header: BscHeader, codes: np.ndarray) -> np.ndarray:
    """Return codes (*codes_shape, frames) as int64 after checking shape, type and range."""
    codes = np.asarray(codes)
    shape = header.codes_shape
    if not codes.ndim or codes.shape[:-1] != shape or codes.dtype.kind not in "iu":
        raise BitstreamError(
            f"codes are {codes.dtype} {codes.shape}: "
            f"expected integers ({', '.join(map(str, shape))}, frames)"
        )
    codes = codes.astype(np.int64)
    for band, size in enumerate(header.codebook_sizes):
        rows = codes[..., band, :]
        if rows.size and not (rows.min() >= 0 and rows.max() < size):
            raise BitstreamError(f"codes of band {band} leave their codebook of {size} entries")
    return codes


def coded_by(header: BscHeader, coder: BlockCoder | None) -> BscHeader:
    """Return the header of a file that a coder writes; None: of a plain one."""
    return replace(header, predictor=coder.fingerprint if coder else "")
