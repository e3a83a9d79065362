"""The trained and scored systems of small_scale_study.sh, as they lie on disk."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import yaml
from corpus_sets import CorpusError

NAMES = {
    "simvq_3band": "(a) 3 bands, SimVQ",
    "vq_4band": "(b) 4 bands, VQ",
    "simvq_4band": "(b') 4 bands, SimVQ",
    "rvq_1band": "(c) no split, RVQ",
    "encodec": "(d) EnCodec, RVQ",
    "rvq_1band_mel": "(c') no split, RVQ, losses of (d)",
}
DOMAINS = ("speech", "sound", "music")
# the loss that training is about, of whichever kind
PROGRESS = re.compile(r":train:\d+-(\d+)batch: .*? (spectral|mel)_loss=([\d.e+-]+),")
RESULTS = re.compile(
    r"\[train\].*?total_count=(\d+), \[valid\].*? (?:spectral|mel)_loss=([\d.e+-]+),"
)


@dataclass(frozen=True)
class Run:
    """One system trained with one seed.

    Attributes:
        system: name of its file in study/conf/scale.
        folder: where it was trained.
    """

    system: str
    seed: int
    folder: Path

    @cached_property
    def log(self) -> str:
        return (self.folder / "console.log").read_text(encoding="utf-8")

    @property
    def loss(self) -> str:
        """Which loss the run was trained by: spectral or mel."""
        return PROGRESS.search(self.log)[2]

    @property
    def curve(self) -> list[tuple[int, float]]:
        """(update, loss in training) of every interval of the log, at its end."""
        return [(int(update), float(loss)) for update, _, loss in PROGRESS.findall(self.log)]

    @property
    def results(self) -> tuple[int, float]:
        """Updates, and the loss of the validation clips after them."""
        found = RESULTS.search(self.log)
        if not found:
            raise CorpusError(f"{self.folder}: its log has no results of an epoch")
        return int(found[1]), float(found[2])

    def build(self):
        """Return the untrained model of its config."""
        from espnet2.gan_codec.bscodec import BSCodec

        config = yaml.safe_load((self.folder / "config.yaml").read_text(encoding="utf-8"))
        return BSCodec(**config["codec_conf"])


class Scores:
    """What the scorer has written of all runs on one domain's test clips."""

    def __init__(self, folder: Path) -> None:
        self.systems = _read(folder / "summary.json")["systems"]
        self._values: dict[tuple[str, str], dict[str, float]] = defaultdict(dict)
        for outcome in _read(folder / "utterances.json")["outcomes"]:
            task = outcome["task"]
            for metric, value in outcome["values"].items():
                self._values[task["system"], metric][task["name"]] = value

    @property
    def metrics(self) -> set[str]:
        return {metric for _, metric in self._values}

    def by_clip(self, runs: Sequence[Run], metric: str) -> dict[str, float]:
        """Clip to value, the mean over the runs, of clips that all of them have a value for."""
        tables = [self._values[run.folder.name, metric] for run in runs]
        shared = set.intersection(*map(set, tables))
        return {clip: float(np.mean([table[clip] for table in tables])) for clip in sorted(shared)}

    def codebooks(self, run: Run) -> list[dict]:
        """Usage and perplexity of every stream."""
        return self.systems[run.folder.name]["codes"]["bands"]


def _read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def find_runs(folder: Path) -> dict[str, list[Run]]:
    """Runs whose training is finished by system, in the order of NAMES.

    Raises:
        CorpusError: there are none.
    """
    runs = defaultdict(list)
    for done in sorted(folder.glob("train/*/.done")):
        system, _, seed = done.parent.name.rpartition("-")
        runs[system].append(Run(system, int(seed), done.parent))
    if not runs:
        raise CorpusError(f"{folder}: no training is finished there")
    known = [*NAMES, *(system for system in runs if system not in NAMES)]
    return {system: runs[system] for system in known if system in runs}
