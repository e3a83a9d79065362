"""VERSA (github.com/wavlab-speech/versa) as the one that computes: pairs in, its values back.

It runs as a program of its own, over lists of files. Three things are done for it here that it
does not do itself: it is given pairs of one channel, one rate and one length only; a pair that
ends it costs no other pair; and what it writes in place of a value is not taken for one.
"""

import hashlib
import math
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, replace
from importlib import metadata, util
from pathlib import Path

import soundfile
import yaml

from espnet2.gan_codec.bscodec.inference.process_pool import one_thread_each
from espnet2.gan_codec.scoring.metrics.metric import ScoringError, UnavailableError
from espnet2.gan_codec.scoring.result import Result, Task
from espnet2.gan_codec.scoring.versa_records import error_message, read_records
from espnet2.gan_codec.scoring.workers import read_pair

PROGRAM, MODULE, DISTRIBUTION = "versa-score", "versa.bin.scorer", "versa-speech-audio-toolkit"
SOURCE = "git+https://github.com/wavlab-speech/versa.git"
# The catalogue's metrics in VERSA: their name in a score config, and the keys of their value.
METRICS = {
    "MCD": ("mcd_f0", ("mcd",)),
    "PESQ": ("pesq", ("pesq",)),
    "STOI": ("stoi", ("stoi",)),
    "SPK_SIM": ("speaker", ("spk_similarity",)),
    "UTMOS": ("pseudo_mos", ("utmos",)),
    "DNSMOS": ("pseudo_mos", ("dns_overall", "dnsmos_overall")),
    "ViSQOL_speech": ("visqol", ("visqol",)),
    "ViSQOL": ("visqol", ("visqol",)),
}
NO_VALUE = {"PESQ": 0.0, "STOI": 1e-5}  # what VERSA, and pystoi in it, write where there is none
PROBES = 3  # pairs, one at a time, that show whether it runs at all


@dataclass(frozen=True)
class ScoreConfig:
    """A score config of VERSA's, and the metrics of the catalogue that it asks for."""

    path: Path
    digest: str
    names: tuple[str, ...]


class Versa:
    """VERSA with a score config for each domain.

    Args:
        folder: with a ``score_<domain>.yaml`` for each of
        domains: of the utterances.

    Attributes:
        others: keys of numbers in VERSA's records that are no metric of the catalogue's.

    Raises:
        UnavailableError: VERSA is not installed.
        ScoringError: a config that is no list of metrics.
        OSError: a config cannot be read.
    """

    def __init__(self, folder: Path, domains: Sequence[str]) -> None:
        self._command = find_program()
        self._configs = {d: _read_config(folder / f"score_{d}.yaml") for d in domains}
        self.others: set[str] = set()

    def asked(self, domain: str) -> tuple[str, ...]:
        """Return the metrics of the catalogue that a domain's config asks for."""
        return self._configs[domain].names

    def setting(self, name: str) -> str:
        """Say what the values of a metric depend on."""
        try:
            version = metadata.version(DISTRIBUTION)
        except metadata.PackageNotFoundError:
            version = f"({self._command[-1]})"
        used = {f"{c.path} {c.digest}" for c in self._configs.values() if name in c.names}
        return f"VERSA {version}, {', '.join(sorted(used))}"

    def score(self, domain: str, pairs: Sequence[Result], jobs: int) -> Iterator[Result]:
        """Yield every pair with VERSA's values and reasons, in the order in which they come.

        The longest pair goes first and alone: what models need is then downloaded once. After
        it, ``jobs`` processes with one thread each share the rest.

        Args:
            pairs: of the domain, whose files can be read.

        Raises:
            ScoringError: VERSA fails on each of the three longest pairs.
        """
        config, failures = self._configs[domain], 0
        waiting = sorted(pairs, key=lambda o: (sum(o.energies[0]) > 0, o.seconds), reverse=True)
        with one_thread_each():
            while waiting:
                results, error = self._run(config, [waiting.pop(0)])
                yield from results
                if error is None:
                    break
                failures += 1
                if failures == PROBES:
                    raise ScoringError(f"VERSA with {config.path} fails: {error}")
            with ThreadPoolExecutor(jobs) as pool:
                parts = [waiting[i::jobs] for i in range(min(jobs, len(waiting)))]
                for part in as_completed([pool.submit(self._all, config, p) for p in parts]):
                    yield from part.result()

    def _all(self, config: ScoreConfig, pairs: list[Result]) -> list[Result]:
        """Score pairs; where VERSA ends before its time, those it left again, by halves."""
        results, error = self._run(config, pairs)
        if error is None or len(pairs) == 1:
            return results
        done = [new for new in results if new.values]
        left = [old for old, new in zip(pairs, results, strict=True) if not new.values]
        middle = (len(left) + 1) // 2
        for half in filter(None, (left[:middle], left[middle:])):
            done += self._all(config, half)
        return done

    def _run(
        self, config: ScoreConfig, pairs: Sequence[Result]
    ) -> tuple[list[Result], str | None]:
        """Run VERSA once; return all pairs, and what it said if it failed before the last."""
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            files = [_prepared(o.task, folder / str(i)) for i, o in enumerate(pairs)]
            for side, name in enumerate(("gt", "pred")):
                # By number: VERSA's lists know no names with spaces.
                lines = [f"{i} {both[side]}\n" for i, both in enumerate(files)]
                (folder / name).write_text(
                    "".join(lines), encoding="utf-8", errors="surrogateescape"
                )
            words = ["--score_config", str(config.path), "--io", "soundfile", "--verbose", "0"]
            words += ["--gt", str(folder / "gt"), "--pred", str(folder / "pred")]
            words += ["--output_file", str(folder / "records")]
            done = subprocess.run(
                [*self._command, *words], capture_output=True, text=True, errors="replace"
            )
            records = read_records(folder / "records")
        error = None
        if done.returncode and len(records) < len(pairs):
            said = [line.strip() for line in done.stderr.splitlines() if line.strip()]
            error = f"VERSA: {said[-1] if said else f'status {done.returncode}'}"
        results = []
        for i, pair in enumerate(pairs):
            wanted = [name for name in config.names if name in pair.task.metrics]
            values, reasons = self._read(records.get(str(i)), wanted, error)
            results.append(replace(pair, values=values, reasons=reasons))
        return results, error

    def _read(
        self, record: Mapping | None, names: Sequence[str], error: str | None
    ) -> tuple[dict[str, float], dict[str, str]]:
        """Return values by name, and why there are none."""
        if record is None:
            reason = error or "VERSA left the pair out: it is silent or very short"
            return {}, dict.fromkeys(names, reason)
        known = {key for _, keys in METRICS.values() for key in keys}
        self.others |= {k for k, v in record.items() if isinstance(v, float)} - known
        values, reasons = {}, {}
        for name in names:
            module, keys = METRICS[name]
            value = next((record[key] for key in keys if key in record), None)
            if not isinstance(value, float | int) or isinstance(value, bool):
                reasons[name] = error_message(record, module) or "VERSA gave no value"
            elif not math.isfinite(value) or value == NO_VALUE.get(name):
                reasons[name] = f"VERSA gave {value:g}, which is no value"
            else:
                values[name] = float(value)
        return values, reasons


def find_program() -> list[str]:
    """Return the command that starts VERSA: of this Python's packages, else the program.

    Raises:
        UnavailableError: VERSA is not installed.
    """
    package = util.find_spec("versa")  # there is another package of that name
    for folder in (package and package.submodule_search_locations) or ():
        if Path(folder, *MODULE.split(".")[1:]).with_suffix(".py").is_file():
            return [sys.executable, "-m", MODULE]
    program = shutil.which(PROGRAM)
    if program is None:
        raise UnavailableError(
            f"--backend versa needs VERSA: pip install {SOURCE} here, or elsewhere with its "
            f"{PROGRAM} on the PATH"
        )
    return [program]


def _read_config(path: Path) -> ScoreConfig:
    contents = path.read_bytes()
    try:
        modules = {module["name"]: module for module in yaml.safe_load(contents)}
    except (yaml.YAMLError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise ScoringError(
            f"{path}: expected a list of VERSA's metrics with their names"
        ) from error
    names = tuple(name for name in METRICS if _asks(modules, name))
    return ScoreConfig(path, hashlib.sha256(contents).hexdigest()[:8], names)


def _asks(modules: Mapping[str, dict], name: str) -> bool:
    module = METRICS[name][0]
    if module not in modules:
        return False
    if module == "pseudo_mos":
        return name.lower() in modules[module].get("predictor_types", ["utmos"])
    if module == "visqol":
        return (modules[module].get("model") == "speech") == (name == "ViSQOL_speech")
    return True


def _prepared(task: Task, stem: Path) -> tuple[str, ...]:
    """Return the paths of a pair: of copies, unless both are alike and have one channel."""
    sources = task.reference, task.decoded
    infos = [soundfile.info(os.fspath(path)) for path in sources]
    shapes = {(info.channels, info.samplerate, info.frames) for info in infos}
    if len(shapes) == 1 and infos[0].channels == 1:
        return tuple(os.path.abspath(path) for path in sources)
    pair, _ = read_pair(*sources)
    copies = tuple(f"{stem}.{side}.wav" for side in ("reference", "decoded"))
    for audio, copy in zip(pair.at(pair.sampling_rate), copies, strict=True):
        soundfile.write(copy, audio, pair.sampling_rate, subtype="FLOAT")
    return copies
