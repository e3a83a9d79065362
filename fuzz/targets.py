"""What is fuzzed: bytes in, a call, and which errors may come out of it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from espnet2.gan_codec.bscodec.entropy.integer_network import PRECISION
from espnet2.gan_codec.bscodec.entropy.predictor import Predictor, PredictorError
from espnet2.gan_codec.bscodec.entropy.range_coder import RangeCoder
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.format.header import BitstreamError, BscHeader
from espnet2.gan_codec.bscodec.format.header_bytes import pack_header, unpack_header
from espnet2.gan_codec.bscodec.hub.checkpoint import build_model, load_generator
from espnet2.gan_codec.bscodec.hub.config_file import coding_conf
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.predictors import check_coder
from espnet2.gan_codec.bscodec.hub.weights import fingerprint, read_weights
from espnet2.gan_codec.bscodec.model.config import (
    ConfigError,
    GeneratorConfig,
    check_sampling_rate,
)
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.metadata import TokensError
from espnet2.gan_codec.bscodec.tokens.reader import read_tokens
from espnet2.gan_codec.bscodec.tokens.shards import data_path, read_index
from espnet2.gan_codec.scoring.journal import Journal
from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.records import UTTERANCES, read_runs, records_text
from espnet2.gan_codec.scoring.result import Task
from espnet2.gan_codec.scoring.summary import CodingStats
from fuzz import parts, predictors, seeds

JOURNAL_TASK = Task("a", "u", "speech", Path("no/ref"), Path("no/hyp"), ("SI-SDR", "STOI"))
_LONGEST_MESSAGE = 2000  # one that lists all known keys has about 1000


@dataclass(frozen=True)
class Target:
    """A reader under test.

    Attributes:
        call: is given the input and an empty folder to write it to.
        errors: that ``call`` may raise, of one line each; any other is a finding.
        layout: how inputs are changed with their checksums mended.
        seeds: makes inputs that are accepted.
    """

    call: Callable[[bytes, Path], object]
    errors: tuple[type[Exception], ...]
    layout: parts.Layout
    seeds: Callable[[], list[bytes]]

    def run(self, data: bytes, folder: Path) -> bool:
        """Return whether the input is accepted. Raises whatever is a finding."""
        try:
            self.call(data, folder)
        except self.errors as error:
            message = str(error)
            assert type(error) in self.errors, f"{type(error).__name__} is not documented"
            assert "\n" not in message and len(message) <= _LONGEST_MESSAGE, message
            return False
        return True


def _write(path: Path, data: bytes) -> None:
    """Write a new file: to truncate one waits for the disk on some file systems."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def _bsc(data: bytes, folder: Path) -> None:
    used: list[RangeCoder] = []

    def find_coder(header: BscHeader, name: str) -> RangeCoder:
        used.append(predictors.coder())
        check_coder(used[0], header, name)
        return used[0]

    assert EncodedAudio.loads(data, find_coder).dumps(*used) == data


def _predictor(data: bytes, folder: Path) -> None:
    path = folder / "codes.safetensors"
    _write(path, data)
    network = Predictor.load(path).networks[0]
    queries = network.queries(np.zeros((1, network.input.weight.shape[1]), np.float32))
    weights = network.group_weights(queries)
    assert weights.min() >= 0 and weights.sum() == 2**PRECISION - weights.size


def _header(data: bytes, folder: Path) -> None:
    header, size = unpack_header(data, "input")
    assert pack_header(header) == data[:size]
    assert header.block_bytes(header.frames_per_block) > 0 and header.bitrate > 0
    if header.num_samples:
        assert header.duration > 0 and header.num_blocks > 0 and header.overhead(size) >= -1


def _tokens(data: bytes, folder: Path) -> None:
    (folder / "shards").mkdir(exist_ok=True)
    files = parts.split_files(parts.TOKEN_FILES, data)
    for name, contents in files.items():
        _write(folder / name, contents)
    for form in FORMATS:
        _write(data_path(folder, 0, form), files[parts.TOKEN_FILES[-1]])
    read_index(folder / parts.TOKEN_FILES[2])
    for verify in (False, True):
        tokens = read_tokens(folder, verify)
        try:
            found = dict(tokens.items())
            for name, codes in found.items():
                if len(found) == len(tokens):  # no name comes twice
                    assert (tokens[name] == codes).all() and name in tokens
                    assert tokens.num_samples(name) >= 0
                    tokens.encoded(name)
        finally:
            tokens.close()


def _config(data: bytes, folder: Path) -> None:
    path = folder / "config.yaml"
    _write(path, data)
    conf = coding_conf(path)
    sampling_rate = conf.get("sampling_rate", 24000)
    check_sampling_rate(sampling_rate)
    config = GeneratorConfig.from_dict(conf.get("generator_params", {}), sampling_rate)
    assert config.hop_length > 0 and len(config.codebook_sizes) == len(config.streams)


def _weights(data: bytes, folder: Path) -> None:
    refusals = []
    for name in ("a.pth", "a.safetensors"):
        path = folder / name
        _write(path, data)
        try:
            weights = read_weights(path)
        except ModelError as error:
            refusals.append(error)
            continue
        fingerprint((key, value.float().numpy()) for key, value in weights.items())
    if len(refusals) == 2:
        raise refusals[0]


def _model(data: bytes, folder: Path) -> None:
    config, weights = parts.split_files(parts.MODEL_FILES, data).values()
    paths = folder / "config.yaml", folder / "a.pth"
    for path, contents in zip(paths, (config, weights), strict=True):
        _write(path, contents)
    load_generator(build_model(*paths), paths[1])


def _journal(data: bytes, folder: Path) -> None:
    path = folder / "journal.jsonl"
    _write(path, data)
    with Journal(path, lambda metric: "") as journal:
        result = journal.known(JOURNAL_TASK)
        if result is None:
            raise ScoringError("no record of the task")
        journal.add(result)
    _write(path, path.read_bytes().splitlines(keepends=True)[-1])
    with Journal(path, lambda metric: "") as journal:
        again = journal.known(JOURNAL_TASK)
    assert repr(again) == repr(result) or not result.values  # repr: NaN is not NaN


def _records(data: bytes, folder: Path) -> None:
    path = folder / UTTERANCES
    _write(path, data)
    runs: list[tuple[str | None, Path]] = [(None, folder)]
    results, costs, settings = read_runs(runs)
    one_each = {metric: min(values) for metric, values in settings.items()}
    _write(path, records_text(results, costs, one_each).encode())
    again, _, _ = read_runs(runs)
    assert [repr(r.values) for r in again] == [repr(r.values) for r in results]
    assert costs.keys() == {system for system, cost in costs.items() if cost != CodingStats()}


TARGETS = {
    "bsc": Target(_bsc, (BitstreamError, ModelError), parts.BSC, seeds.bsc),
    "predictor": Target(_predictor, (PredictorError,), parts.WEIGHTS, seeds.predictor),
    "header": Target(_header, (BitstreamError,), parts.HEADER, seeds.header),
    "tokens": Target(
        _tokens, (TokensError, BitstreamError, FileNotFoundError), parts.TOKENS, seeds.tokens
    ),
    "config": Target(_config, (ModelError, ConfigError), parts.TEXT, seeds.config),
    "weights": Target(_weights, (ModelError,), parts.WEIGHTS, seeds.weights),
    "model": Target(_model, (ModelError,), parts.MODEL, seeds.model),
    "journal": Target(_journal, (ScoringError,), parts.TEXT, seeds.journal),
    "records": Target(_records, (ScoringError,), parts.TEXT, seeds.records),
}


def be_quiet() -> None:
    """Silence the notes and warnings of a million calls."""
    logging.disable()
    warnings.simplefilter("ignore")
