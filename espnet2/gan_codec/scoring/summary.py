"""From the scores of pairs to those of systems: a mean with an interval for every domain."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

from espnet2.gan_codec.scoring.codes import CodesReport
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE, DOMAINS
from espnet2.gan_codec.scoring.result import Result
from espnet2.gan_codec.scoring.statistics import CONFIDENCE, RESAMPLES, Estimate, estimate


@dataclass
class CodingStats:
    """What a system takes, as far as it is known.

    Attributes:
        bits: of each utterance, by its name.
        encode_seconds, decode_seconds: of computing for each utterance, by its name.
        codes: as its codec.scp holds them.
    """

    bits: dict[str, int] = field(default_factory=dict)
    encode_seconds: dict[str, float] = field(default_factory=dict)
    decode_seconds: dict[str, float] = field(default_factory=dict)
    codes: CodesReport | None = None


@dataclass(frozen=True)
class Group:
    """The utterances of one domain, or all, as one system decoded them.

    Attributes:
        pairs: how many there are; ``failed`` of them could not be scored at all.
        resampled: pairs whose decoded file has another rate than the reference.
        seconds: of audio that were compared.
        kbps: bits for a second of audio, in kbit/s, over utterances whose bits are known.
        encode_speed, decode_speed: seconds of audio done in a second, likewise.
        metrics: by name; a metric without any value is not in it.
        undefined: pairs for which a metric has no value, by name, failed pairs not counted.
    """

    pairs: int
    failed: int
    resampled: int
    seconds: float
    kbps: float | None
    encode_speed: float | None
    decode_speed: float | None
    metrics: dict[str, Estimate]
    undefined: dict[str, int]


@dataclass(frozen=True)
class System:
    """One system's groups by domain, and ``all`` of them together."""

    name: str
    domains: dict[str, Group]
    all: Group
    codes: CodesReport | None


def summarise(
    results: Iterable[Result], costs: Mapping[str, CodingStats], systems: Sequence[str], seed: int
) -> list[System]:
    """Return the systems in the given order.

    Args:
        results: of all systems, those of one in the order of the references.
        costs: by name of the system.
        seed: of the bootstrap.
    """
    by_system: dict[str, list[Result]] = {name: [] for name in systems}
    for result in results:
        by_system[result.task.system].append(result)
    summaries = []
    for name, ours in by_system.items():
        cost = costs.get(name, CodingStats())
        groups = {d: [o for o in ours if o.task.domain == d] for d in DOMAINS}
        domains = {d: _group(group, cost, seed) for d, group in groups.items() if group}
        summaries.append(System(name, domains, _group(ours, cost, seed), cost.codes))
    return summaries


def as_record(
    systems: Iterable[System],
    missing: Mapping[str, str],
    setting: Callable[[str], str],
    seed: int,
    command: str,
) -> dict:
    """Return what ``summary.json`` holds.

    Args:
        missing: why metrics were left out, by name.
        setting: as ``catalogue.setting``, with its options given.
    """
    systems = list(systems)
    used = {m: setting(m) for m in CATALOGUE if any(m in s.all.metrics for s in systems)}
    return {
        "command": command,
        "bootstrap": {"confidence": CONFIDENCE, "resamples": RESAMPLES, "seed": seed},
        "metrics": {
            name: {"better": CATALOGUE[name].better, "by": by} for name, by in used.items()
        },
        "skipped": dict(missing),
        "systems": {
            s.name: {
                "all": asdict(s.all),
                "domains": {domain: asdict(group) for domain, group in s.domains.items()},
                "codes": _codes_record(s.codes),
            }
            for s in systems
        },
    }


def _group(results: Sequence[Result], cost: CodingStats, seed: int) -> Group:
    scored = [o for o in results if o.failure is None]
    metrics, undefined = {}, {}
    for name in CATALOGUE:
        values = [o.values[name] for o in scored if name in o.values]
        if values:
            metrics[name] = estimate(values, seed)
        lacking = sum(name in o.reasons for o in scored)
        if lacking:
            undefined[name] = lacking
    bits_per_second = _ratio(cost.bits, scored)
    encoding, decoding = (_ratio(c, scored) for c in (cost.encode_seconds, cost.decode_seconds))
    return Group(
        pairs=len(results),
        failed=len(results) - len(scored),
        resampled=sum(o.rates[0] != o.rates[1] for o in scored),
        seconds=sum(o.seconds for o in scored),
        kbps=bits_per_second / 1000 if bits_per_second is not None else None,
        encode_speed=1 / encoding if encoding else None,
        decode_speed=1 / decoding if decoding else None,
        metrics=metrics,
        undefined=undefined,
    )


def _ratio(amounts: Mapping[str, float], results: Iterable[Result]) -> float | None:
    """Return the amount for a second of audio, over the utterances for which it is known."""
    known = [(amounts[o.task.name], o.seconds) for o in results if o.task.name in amounts]
    seconds = sum(s for _, s in known)
    return sum(a for a, _ in known) / seconds if seconds else None


def _codes_record(codes: CodesReport | None) -> dict | None:
    if codes is None:
        return None
    return {
        "frames": codes.frames,
        "bits_per_frame": codes.bits_per_frame,
        "entropy_bits_per_frame": codes.entropy_per_frame,
        "bands": [
            {
                "size": book.size,
                "used": book.used,
                "usage": book.usage,
                "perplexity": book.perplexity,
            }
            for book in codes.books
        ],
    }
