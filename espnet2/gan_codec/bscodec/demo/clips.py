"""The recordings that a demonstration codes, and what is known of their origin."""

from dataclasses import dataclass
from pathlib import Path

from espnet2.gan_codec.bscodec.format.audio import SUFFIXES
from espnet2.gan_codec.bscodec.format.tables import read_tsv

SHIPPED = Path(__file__).parent / "clips"
LICENCES = "licences.tsv"
COLUMNS = ("clip", "licence", "attribution", "source")
OTHER = "other"
DOMAINS = ("speech", "sound", "music", OTHER)


class DemoError(ValueError):
    """Clips or packages without which there is no demonstration: one line."""


@dataclass(frozen=True)
class Clip:
    """One recording.

    Attributes:
        path: of the audio file; its stem is the clip's name.
        licence, attribution, source: of the recording; empty where nothing is said.
    """

    path: Path
    licence: str = ""
    attribution: str = ""
    source: str = ""

    @property
    def name(self) -> str:
        return self.path.stem

    @property
    def domain(self) -> str:
        """What the name has before its first ``_``, if that is a domain."""
        prefix = self.name.partition("_")[0]
        return prefix if prefix in DOMAINS else OTHER


def find_clips(folder: Path = SHIPPED) -> list[Clip]:
    """Return the audio files of ``folder``, by domain and name.

    Origins are taken from ``licences.tsv`` in the folder, if there is one: a table with a head
    and the columns ``clip`` (a stem), ``licence``, ``attribution`` and ``source``; a field
    with a tab, a quote or a line break stands in quotes.

    Raises:
        DemoError: there is no such folder, no audio in it, or two files share a stem.
    """
    if not folder.is_dir():
        raise DemoError(f"{folder}: no such folder")
    origins = _read_origins(folder / LICENCES)
    paths = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    clips = [Clip(path, **origins.get(path.stem, {})) for path in sorted(paths)]
    if not clips:
        raise DemoError(f"{folder}: there is no audio file in this folder")
    for first, second in zip(clips, clips[1:], strict=False):
        if first.name == second.name:
            raise DemoError(f"{first.path} and {second.path}: expected clips of different names")
    return sorted(clips, key=lambda clip: (DOMAINS.index(clip.domain), clip.name))


def _read_origins(table: Path) -> dict[str, dict[str, str]]:
    if not table.is_file():
        return {}
    try:
        with open(table, encoding="utf-8", newline="") as file:
            head, *lines = [row for row in read_tsv(file) if row] or [[]]
    except ValueError as error:
        raise DemoError(f"{table}: {error}") from error
    if not {*COLUMNS} <= {*head} or any(len(line) != len(head) for line in lines):
        raise DemoError(f"{table}: expected the columns {', '.join(COLUMNS)} in every row")
    rows = [dict(zip(head, line, strict=True)) for line in lines]
    return {row["clip"]: {name: row[name] for name in COLUMNS[1:]} for row in rows}
