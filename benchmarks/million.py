"""What a million hours of audio take, from what is measured here and what is assumed."""

from __future__ import annotations

import hashlib
import io
import math
import tarfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.endurance import make_long
from benchmarks.simulation import UTTERANCE_SECONDS, simulate
from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.inference.thread_pool import at_most_threads
from espnet2.gan_codec.bscodec.tokens.coding import BatchPolicy, encode_lines, make_shard
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.manifest import Shard, default_shard_size
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata
from espnet2.gan_codec.bscodec.tokens.shards import DIGEST_THREADS, data_path
from espnet2.gan_codec.scoring.markdown import markdown_table

HOURS = 10**6
UTTERANCES = HOURS * 3600 // UTTERANCE_SECONDS
WORKERS = (1, 100, 10_000)
REPEATS = 3  # of what is timed, of which the shortest counts
SAMPLE = 10**5  # utterances of the simulation that planning and merge are extrapolated from
TAR = "WebDataset"
# assumed, since nothing here could measure them
GPU_SPEED = 3000  # hours of audio an hour on a GPU: a goal for an H100
WORKER_HOURS = 1000  # between two deaths of a worker
STREAM = 1e9  # bytes a second that one thread reads from a shared file system


@dataclass(frozen=True)
class Figures:
    """What was measured on this machine.

    Attributes:
        cpu_seconds: of a core for an hour of audio: reading FLAC, coding, writing.
        audio_bytes: of an hour of audio, as FLAC.
        token_bytes: of an hour, by format.
        plan, check, merge: seconds for an utterance, without digests.
        hash_rate: bytes a second of SHA-256.
        list_bytes, index_bytes, table_bytes: for an utterance.
    """

    cpu_seconds: float
    audio_bytes: float
    token_bytes: dict[str, float]
    plan: float
    check: float
    merge: float
    hash_rate: float
    list_bytes: float
    index_bytes: float
    table_bytes: float


def report(work: Path) -> str:
    """Measure below ``work`` and return all tables."""
    figures = measure(work)
    parts = [figures_table(figures), storage_table(figures)]
    parts += [workers_table(figures), first_process(figures)]
    return "\n\n".join(parts)


def measure(work: Path) -> Figures:
    """Code the demonstration's clips, joined to an utterance; plan and merge a made-up list."""
    codec = Codec.from_pretrained("bscodec-mini", "cpu")
    audio, hours = work / "clips.flac", UTTERANCE_SECONDS / 3600
    make_long(audio, hours)
    sizes = {form: _code(codec, work / form, audio, form) / hours for form in FORMATS}
    sizes[TAR] = _tar_bytes(codec, audio) / hours
    taken = [_seconds(_code, codec, work / "ark", audio, "ark") for _ in range(REPEATS)]
    run = simulate(work / "tokens", SAMPLE)
    cpu = {step.name: step.cpu / SAMPLE for step in run.steps}
    block = bytes(1 << 26)
    hashing = min(_seconds(hashlib.sha256, block) for _ in range(REPEATS))
    return Figures(
        cpu_seconds=min(taken) / hours,
        audio_bytes=audio.stat().st_size / hours,
        token_bytes=sizes,
        plan=cpu["plan"],
        check=cpu["check"],
        merge=cpu["merge"],
        hash_rate=len(block) / hashing,
        list_bytes=run.sizes["list"] / SAMPLE,
        index_bytes=run.sizes["indexes"] / SAMPLE,
        table_bytes=run.sizes["tables"] / SAMPLE,
    )


def _seconds(function, *arguments: object) -> float:
    begun = time.process_time()
    function(*arguments)
    return time.process_time() - begun


def _code(codec: Codec, folder: Path, audio: Path, form: str) -> int:
    """Make a shard of one utterance as ``tokenize`` does, on one thread; return its bytes."""
    lines = [("corpus-000000000", str(audio))]
    header = codec.header(len(codec.bands))
    dtype = FORMATS[form].dtype(header.codebook_sizes)
    metadata = TokenMetadata.of(header, codec.fingerprint, form, dtype, len(lines))
    shard = Shard(1, 0, 0, len(lines), "")
    with at_most_threads(1):
        make_shard(codec, folder, shard, lines, metadata, BatchPolicy.of("cpu"))
    return data_path(folder, 1, form).stat().st_size


def _tar_bytes(codec: Codec, audio: Path) -> int:
    """Bytes of an utterance in a WebDataset of int16, as docs/language_model.md makes one."""
    output, buffer = io.BytesIO(), io.BytesIO()
    lines = [("corpus-000000000", str(audio))]
    (encoded,) = encode_lines(codec, lines, len(codec.bands), BatchPolicy.of("cpu"))
    np.save(buffer, encoded.codes.astype(np.int16))
    with tarfile.open(fileobj=output, mode="w") as tar:
        member = tarfile.TarInfo("corpus-000000000.npy")
        member.size = buffer.tell()
        buffer.seek(0)
        tar.addfile(member, buffer)
        return tar.offset


def figures_table(figures: Figures) -> str:
    """What is measured and what is assumed."""
    rows = [
        ("CPU s for an hour of audio, bscodec-mini", f"{figures.cpu_seconds:.0f}", "measured"),
        ("audio as FLAC, MB an hour", f"{figures.audio_bytes / 1e6:.0f}", "measured"),
        ("planning, µs an utterance", f"{figures.plan * 1e6:.2f}", "measured"),
        ("check without digests, µs an utterance", f"{figures.check * 1e6:.2f}", "measured"),
        ("merge without digests, µs an utterance", f"{figures.merge * 1e6:.2f}", "measured"),
        ("SHA-256, GB/s", f"{figures.hash_rate / 1e9:.2f}", "measured"),
        ("hours of audio an hour on a GPU", str(GPU_SPEED), "assumed"),
        ("hours between deaths of a worker", str(WORKER_HOURS), "assumed"),
        ("GB/s that one thread reads", f"{STREAM / 1e9:g}", "assumed"),
        ("seconds an utterance", str(UTTERANCE_SECONDS), "assumed"),
    ]
    return _markdown(["figure", "value", ""], rows)


def storage_table(figures: Figures) -> str:
    """Bytes and files of the tokens, by format."""
    shards = math.ceil(UTTERANCES / default_shard_size(UTTERANCES))
    rows = []
    for form, each in figures.token_bytes.items():
        total = each * HOURS
        share = each * UTTERANCE_SECONDS / 3600 / 1000
        files = shards if form == TAR else 2 * shards
        rows.append([form, f"{share:.1f}", f"{total / 1e12:.2f}", f"{total / shards / 1e6:.1f}",
                     f"{files:,}"])  # fmt: skip
    small = {"list": figures.list_bytes, "indexes": figures.index_bytes,
             "tables": figures.table_bytes}  # fmt: skip
    text = ", ".join(f"{name} {each * UTTERANCES / 1e9:.1f} GB" for name, each in small.items())
    head = ["format", "kB an utterance", "TB", "MB a shard", "files in shards/"]
    return f"{_markdown(head, rows)}\n\nBesides: {text}."


def workers_table(figures: Figures) -> str:
    """Time, load and restarts, a row a kind and number of workers."""
    ark = figures.token_bytes["ark"] * HOURS
    plan, listed = figures.plan * UTTERANCES, figures.list_bytes * UTTERANCES
    shard_hours = default_shard_size(UTTERANCES) * UTTERANCE_SECONDS / 3600
    rows = []
    for (kind, speed), workers in product(
        (("CPU core", 3600 / figures.cpu_seconds), ("GPU", GPU_SPEED)), WORKERS
    ):
        busy = HOURS / speed  # hours of all workers together
        clock = busy / workers
        opens = UTTERANCES / clock / 3600
        read = figures.audio_bytes * HOURS / clock / 3600
        written = ark / clock / 3600
        deaths = busy / WORKER_HOURS
        rows.append([
            f"{workers:,} x {kind}",
            f"{busy:,.0f}",
            _time(clock),
            f"{opens:,.0f}",
            _rate(read),
            _rate(written),
            f"{shard_hours / speed * 60:.2g} min",
            f"{deaths:.2g}, {_time(deaths * shard_hours / speed / 2)}",
            f"{_time(plan * workers / 3600)}, {listed * workers / 1e12:.2g} TB",
        ])  # fmt: skip
    head = ["workers", "worker hours", "coding", "opens/s", "audio read",
            "ark written", "a shard", "deaths, lost", "plans of --shard jobs"]  # fmt: skip
    return _markdown(head, rows)


def first_process(figures: Figures) -> str:
    """What one process does before and after, whatever the number of workers."""
    ark = figures.token_bytes["ark"] * HOURS
    digests = (ark / figures.hash_rate + ark / STREAM) / DIGEST_THREADS
    plan, check, merge = (
        each * UTTERANCES for each in (figures.plan, figures.check, figures.merge)
    )
    times = {"planning": plan, "check": check, "merge": merge, "digests of all ark": digests}
    text = ", ".join(f"{name} {_time(seconds / 3600)}" for name, seconds in times.items())
    return f"One process: {text}."


def _markdown(head: list[str], rows: Iterable) -> str:
    return "\n".join(markdown_table(head, rows, padded=True))


def _time(hours: float) -> str:
    if hours < 1:
        return f"{hours * 60:.2g} min"
    return f"{hours:.2g} h" if hours < 100 else f"{hours / 24:.3g} days"


def _rate(value: float) -> str:
    return f"{value / 1e9:.3g} GB/s" if value >= 1e9 else f"{value / 1e6:.3g} MB/s"
