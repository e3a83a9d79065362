"""A demonstration's table as text, TSV and JSON: a row a clip, a row a domain, a row for all."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean

from espnet2.gan_codec.bscodec.format.tables import tsv_line


@dataclass(frozen=True)
class DomainResult:
    """What came of one clip, or of several taken together.

    Attributes:
        name: of the clip, or of the domain.
        domain: of the clip, or of all the clips.
        clips: how many there are in this row.
        seconds: of audio.
        file_bytes: on disk, headers and checksums included.
        payload_bits: of codes alone.
        distances: mel and STFT distance by name; a mean over clips.
        encode_seconds: that it took from file to file; of several runs, the median.
        decode_seconds: as above.
    """

    name: str
    domain: str
    clips: int
    seconds: float
    file_bytes: int
    payload_bits: int
    distances: dict[str, float]
    encode_seconds: float
    decode_seconds: float

    @property
    def file_kbps(self) -> float:
        """Bits on disk for a second of audio, in kbit/s."""
        return self.file_bytes * 8 / self.seconds / 1000

    @property
    def payload_kbps(self) -> float:
        """Bits of codes for a second of audio, in kbit/s; the last frame counts whole."""
        return self.payload_bits / self.seconds / 1000

    @property
    def encode_speed(self) -> float:
        """Seconds of audio encoded in a second."""
        return self.seconds / self.encode_seconds

    @property
    def decode_speed(self) -> float:
        """Seconds of audio decoded in a second."""
        return self.seconds / self.decode_seconds


def pool(name: str, results: Sequence[DomainResult]) -> DomainResult:
    """Take results of clips together: times and sizes add up, distances are averaged."""
    return DomainResult(
        name=name,
        domain=name,
        clips=len(results),
        seconds=sum(r.seconds for r in results),
        file_bytes=sum(r.file_bytes for r in results),
        payload_bits=sum(r.payload_bits for r in results),
        distances={
            metric: fmean(r.distances[metric] for r in results) for metric in results[0].distances
        },
        encode_seconds=sum(r.encode_seconds for r in results),
        decode_seconds=sum(r.decode_seconds for r in results),
    )


def pool_domains(results: Sequence[DomainResult]) -> list[DomainResult]:
    """Return one row a domain, in the order in which they come, and a last one for all."""
    domains = dict.fromkeys(result.domain for result in results)
    rows = [pool(d, [r for r in results if r.domain == d]) for d in domains]
    return [*rows, pool("all", results)] if len(rows) > 1 else rows


# Heading and text of each number that is shown; the page and the terminal share them.
COLUMNS = {
    "seconds": ("seconds", lambda r: f"{r.seconds:.2f}"),
    "file_kbps": ("kbps file", lambda r: f"{r.file_kbps:.2f}"),
    "payload_kbps": ("kbps codes", lambda r: f"{r.payload_kbps:.2f}"),
    "mel": ("mel dist.", lambda r: f"{r.distances['mel']:.3f}"),
    "STFT": ("STFT dist.", lambda r: f"{r.distances['STFT']:.3f}"),
    "encode_speed": ("encode", lambda r: f"{r.encode_speed:.0f}x"),
    "decode_speed": ("decode", lambda r: f"{r.decode_speed:.0f}x"),
}


def cells(result: DomainResult) -> list[str]:
    """Return the texts of a row, the name first."""
    return [result.name, *(text(result) for _, text in COLUMNS.values())]


def text_table(clips: Sequence[DomainResult], domains: Sequence[DomainResult]) -> str:
    """Return an aligned table for a terminal: a head, the clips, a rule, the domains."""
    head = ["clip", *(heading for heading, _ in COLUMNS.values())]
    upper, lower = [cells(r) for r in clips], [cells(r) for r in domains]
    widths = [max(map(len, column)) for column in zip(head, *upper, *lower, strict=True)]
    rule = ["-" * width for width in widths]
    rows = [head, rule, *upper, rule, *lower]
    return "\n".join("  ".join(_aligned(row, widths)) for row in rows)


def _aligned(row: Sequence[str], widths: Sequence[int]) -> Iterable[str]:
    name, *numbers = zip(row, widths, strict=True)
    yield name[0].ljust(name[1])
    yield from (text.rjust(width) for text, width in numbers)


def as_record(result: DomainResult) -> dict[str, object]:
    """Return every number of a row under its name, unrounded; distances as ``<name>_distance``."""
    record = asdict(result)
    distances = record.pop("distances")
    rates = ("file_kbps", "payload_kbps", "encode_speed", "decode_speed")
    return {
        **record,
        **{f"{name.lower()}_distance": value for name, value in distances.items()},
        **{name: getattr(result, name) for name in rates},
    }


def to_tsv(clips: Sequence[DomainResult], domains: Sequence[DomainResult]) -> str:
    """Return a table with a head; its first column says ``clip`` or ``domain``."""
    records = [{"row": "clip", **as_record(r)} for r in clips]
    records += [{"row": "domain", **as_record(r)} for r in domains]
    return tsv_line(records[0]) + "".join(tsv_line(record.values()) for record in records)


def to_json(
    clips: Sequence[DomainResult], domains: Sequence[DomainResult], facts: dict[str, object]
) -> str:
    """Return the same rows and the facts about the model and the run."""
    contents = {
        **facts,
        "clips": [as_record(r) for r in clips],
        "domains": [as_record(r) for r in domains],
    }
    return json.dumps(contents, indent=2, ensure_ascii=False) + "\n"
