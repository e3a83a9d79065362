"""What the codes of a system cost and how well they use their codebooks."""

import math
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from espnet2.gan_codec.bscodec.format.bitstream import BscReader
from espnet2.gan_codec.bscodec.format.checked import integer, read_array
from espnet2.gan_codec.bscodec.format.files import require_regular
from espnet2.gan_codec.bscodec.format.header import MAX_BITS
from espnet2.gan_codec.bscodec.hub.config_file import read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.predictors import packaged_coder
from espnet2.gan_codec.scoring.inputs import read_list
from espnet2.gan_codec.scoring.metrics.metric import ScoringError

HISTOGRAM_BINS = 64
CONFIG = "config.yaml"
LEVELS = 4  # above a list: exp/codec_x/decode_y/test_z/codec.scp, and one more


@dataclass(frozen=True)
class CodebookUse:
    """One band's (or stage's) codebook over all utterances.

    Attributes:
        size: of the codebook; None where it is not known.
        used: codes that occur.
        perplexity: 2 to the entropy of a code: as many equally likely codes say as much.
        histogram: shares of frames of the codes from the most to the least frequent one, in
            HISTOGRAM_BINS groups of ranks of equal width (fewer codes: one each).
    """

    size: int | None
    used: int
    perplexity: float
    histogram: tuple[float, ...]

    @property
    def usage(self) -> float | None:
        """Share of the codebook that occurs."""
        return self.used / self.size if self.size else None


@dataclass(frozen=True)
class CodesReport:
    """Codes of one system.

    Attributes:
        books: one per band or stage.
        frames: altogether.
        bits_per_frame: with indices packed in ceil(log2 size) bits; None where a size is not
            known.
        entropy_per_frame: bits that an ideal entropy coder without memory would need.
        frames_by_name: of each utterance.
    """

    books: tuple[CodebookUse, ...]
    frames: int
    bits_per_frame: int | None
    entropy_per_frame: float
    frames_by_name: dict[str, int]


def read_codes(
    source: Path, sizes: Sequence[int] | None, names: Container[str] | None = None
) -> CodesReport:
    """Read all codes of a system.

    Args:
        source: a ``codec.scp`` of ESPnet's inference ("name path.npy" lines, integer arrays), or
            a folder of ``.bsc`` files, which know their codebooks' sizes.
        sizes: of a list's codebooks, one for all or one each; None: as the ``config.yaml`` of
            the nearest folder above the list says, which is there in an experiment folder.
        names: of the utterances that count; None: all do.

    Raises:
        ScoringError: no codes, an array of another kind, another number of bands, or an index
            that its codebook does not have.
        BitstreamError, OSError: a file is damaged or cannot be read.
    """
    counts: list[dict[int, int]] = []
    frames_by_name: dict[str, int] = {}
    known = [] if source.is_dir() else list(sizes or find_sizes(source))
    for name, codes, own_sizes in _bsc_codes(source) if source.is_dir() else _npy_codes(source):
        if names is not None and name not in names:
            continue
        counts = counts or [{} for _ in codes]
        known = known or list(own_sizes)
        if len(codes) != len(counts) or (own_sizes and list(own_sizes) != known):
            raise ScoringError(
                f"{source}: {name} has other bands than those before: expected {len(counts)}"
            )
        frames_by_name[name] = frames_by_name.get(name, 0) + codes.shape[1]
        for count, row in zip(counts, codes, strict=True):
            for code, times in zip(*np.unique(row, return_counts=True), strict=True):
                count[int(code)] = count.get(int(code), 0) + int(times)
    if not counts:
        raise ScoringError(f"{source}: holds no codes")
    return _report(source, counts, known, frames_by_name)


def _report(
    source: Path, counts: list[dict[int, int]], known: list[int], frames_by_name: dict[str, int]
) -> CodesReport:
    if len(known) == 1:
        known = known * len(counts)
    if known and len(known) < len(counts):
        raise ScoringError(f"{source}: expected {len(known)} bands, found {len(counts)}")
    sizes = known[: len(counts)] if known else [None] * len(counts)
    books = tuple(_use(c, size, source) for c, size in zip(counts, sizes, strict=True))
    return CodesReport(
        books=books,
        frames=sum(frames_by_name.values()),
        bits_per_frame=sum(math.ceil(math.log2(size)) for size in known[: len(counts)])
        if known
        else None,
        entropy_per_frame=sum(math.log2(book.perplexity) for book in books),
        frames_by_name=frames_by_name,
    )


def _npy_codes(source: Path) -> Iterator[tuple[str, np.ndarray, tuple[int, ...]]]:
    """Yield name, codes (bands, frames), and the sizes that the file gives: none."""
    for name, path in read_list(source):
        yield name, _read_array(path), ()


def _bsc_codes(folder: Path) -> Iterator[tuple[str, np.ndarray, tuple[int, ...]]]:
    """Yield name, codes (bands, frames) and codebook sizes of every block of every file.

    Channels follow one another: they have the same codebooks, and each costs its bits.
    """
    for path in sorted(folder.rglob("*.bsc")):
        with BscReader(path, find_coder=packaged_coder) as reader:
            for block in reader:
                name = path.relative_to(folder).with_suffix("").as_posix()
                for codes in block.reshape(-1, *block.shape[-2:]):
                    yield name, codes, tuple(reader.header.codebook_sizes)


def find_sizes(source: Path) -> list[int]:
    """Return codebook sizes from the nearest ``config.yaml`` above ``source``, or nothing.

    One that lies further up than a recipe's folders is somebody else's.
    """
    for folder in source.absolute().parents[:LEVELS]:
        if (folder / CONFIG).is_file():
            try:
                generator = read_yaml(folder / CONFIG)["codec_conf"]["generator_params"]
                if "quantizer_bins" in generator:
                    sizes = generator["quantizer_bins"]
                else:
                    sizes = generator["quantize_codebook_size"]
                sizes = sizes if isinstance(sizes, list) else [sizes]
                return [integer(size, 1, 2**MAX_BITS) for size in sizes]
            except (ModelError, KeyError, TypeError, ValueError):
                return []
    return []


def _read_array(path: Path) -> np.ndarray:
    """Return codes as (bands, frames)."""
    try:
        require_regular(path)
        with open(path, "rb") as file:
            codes = read_array(file)
    except ValueError as error:
        raise ScoringError(f"{path}: not readable as an array of codes") from error
    if codes.ndim == 3 and 1 in codes.shape[:2]:  # (1, bands, frames), or ESPnet's (n_q, 1, ...)
        codes = codes[0] if codes.shape[0] == 1 else codes[:, 0]
    if codes.ndim != 2 or not codes.size or not np.issubdtype(codes.dtype, np.integer):
        raise ScoringError(
            f"{path}: expected integers (bands, frames), got {codes.dtype} {codes.shape}"
        )
    return codes


def _use(count: dict[int, int], size: int | None, source: Path) -> CodebookUse:
    if min(count) < 0 or (size is not None and max(count) >= size):
        raise ScoringError(
            f"{source}: holds indices from {min(count)} to {max(count)}, but the codebook has "
            f"{size or 'no negative ones'}"
        )
    shares = np.sort(np.array(list(count.values()), dtype=float))[::-1]
    shares /= shares.sum()
    perplexity = 2 ** float(-(shares * np.log2(shares)).sum())
    entries = size or len(shares)
    bins = min(HISTOGRAM_BINS, entries)
    wide, narrow = entries % bins, entries // bins  # groups as of np.array_split
    edges = [i * narrow + min(i, wide) for i in range(bins + 1)]
    groups = [shares[low:high] for low, high in pairwise(edges)]  # the last may be empty
    return CodebookUse(size, len(count), perplexity, tuple(float(g.sum()) for g in groups))
