"""The benchmark's tables, as Markdown that is aligned for a terminal too."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.measure import DIRECTIONS, ResourceUse
from benchmarks.results import NAIVE, Results, growth_systems
from espnet2.gan_codec.scoring.markdown import markdown_table

NONE = "-"
SPEED_NOTES = """\
encode, decode: seconds of audio coded in a second, the best run, all systems interleaved; in
brackets, how many times as fast as the naive computation of the same model. MB: peak resident
memory of a fresh process; in brackets, what was added once the model was built."""
BOUND_NOTES = """\
GFLOP: of the networks' convolutions and matrix products in a second of audio. At most: seconds of
audio coded in a second if these ran at the machine's peak, that of a large float32 product, and
all else were free; in brackets, how many times as fast as naive. No exact computation by such
products can be faster."""
GROWTH_NOTES = """\
Seconds of one run in a fresh process, and the megabytes that it added to the model's. In brackets:
what a run that was left out would have taken, going by the longest that was not."""


def report(results: Results) -> str:
    """The whole of ``table.md``."""
    parts = [_machine(results), speed_table(results), SPEED_NOTES]
    if results.work:
        parts += [bound_table(results), BOUND_NOTES]
    if growth := growth_table(results):
        parts += [growth, GROWTH_NOTES]
    if results.training:
        parts.append(f"```\n{results.training}\n```")
    if results.left_out:
        rows = [f"- {name}: {reason}" for name, reason in results.left_out.items()]
        parts.append("Left out:\n\n" + "\n".join(rows))
    return "\n\n".join(parts) + "\n"


def speed_table(results: Results) -> str:
    """A row a system: real-time factors, ratios to the naive computation, memory."""
    lengths = results.lengths()
    longest = lengths[-1]
    head = ["model", "computation"]
    head += [f"{way} {length(s)}" for way in DIRECTIONS for s in lengths]
    head += [f"MB, {way} {length(longest)}" for way in DIRECTIONS]
    rows = []
    for model, form in results.systems():
        row = [model, form]
        row += [_speed(results, model, form, way, s) for way in DIRECTIONS for s in lengths]
        row += [_memory(results.cost(model, form, way, longest)) for way in DIRECTIONS]
        rows.append(row)
    return _markdown(head, rows, num_names=2)


def bound_table(results: Results) -> str:
    """A row a model: the networks' operations, and the most that the machine's peak allows."""
    longest = results.lengths()[-1]
    head = ["model"] + [f"GFLOP, {way}" for way in DIRECTIONS]
    head += [f"{way} {length(longest)}, at most" for way in DIRECTIONS]
    rows = []
    for model in dict.fromkeys(work.model for work in results.work):
        flops = {w.direction: w.flops for w in results.work if w.model == model}
        row = [model] + [f"{flops[way] / 1e9:.3g}" for way in DIRECTIONS]
        rows.append(row + [_bound(results, model, way, longest) for way in DIRECTIONS])
    title = f"Peak: {results.peak / 1e9:.0f} GFLOP/s"
    return f"{title}\n\n{_markdown(head, rows, num_names=1)}"


def growth_table(results: Results) -> str:
    """Time and memory against the length, a row a system and direction."""
    systems = growth_systems(results)
    selected = [c for c in results.costs if (c.model, c.form) in systems]
    lengths = sorted({c.audio_seconds for c in selected})
    if not lengths:
        return ""
    rows = [
        [model, form, way]
        + [_growth(results.cost(model, form, way, seconds)) for seconds in lengths]
        for way in DIRECTIONS
        for model, form in systems
    ]
    head = ["model", "computation", "s, MB"] + [length(seconds) for seconds in lengths]
    return _markdown(head, rows, num_names=3)


def summary(results: Results) -> str:
    """The few lines that a README quotes: ours against the naive computation, a row a model."""
    lengths = results.lengths()
    head = ["model"] + [f"{way} {length(s)}" for way in DIRECTIONS for s in lengths]
    rows = []
    for model, form in results.systems():
        ratios = [results.ratio(model, form, way, s) for way in DIRECTIONS for s in lengths]
        if form == "engine" and None not in ratios:
            rows.append([model] + [f"x{ratio:.1f}" for ratio in ratios])
    return _markdown(head, rows, num_names=1)


def length(seconds: float) -> str:
    """``10 s``, ``10 min``, ``1 h``."""
    if seconds >= 3600:
        return f"{seconds / 3600:g} h"
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]], num_names: int) -> str:
    return "\n".join(markdown_table(head, rows, num_names, padded=True))


def _machine(results: Results) -> str:
    return "\n".join(f"{name}: {value}  " for name, value in results.facts.items()).rstrip()


def _speed(results: Results, model: str, form: str, way: str, seconds: float) -> str:
    factor = results.factor(model, form, way, seconds)
    ratio = results.ratio(model, form, way, seconds)
    if factor is None:
        return NONE
    text = f"{factor:.3g}" if factor < 1000 else f"{factor:.0f}"
    return text if ratio is None or form == NAIVE else f"{text} (x{ratio:.1f})"


def _bound(results: Results, model: str, way: str, seconds: float) -> str:
    bound, naive = results.bound(model, way), results.factor(model, NAIVE, way, seconds)
    return NONE if bound is None or not naive else f"{bound:.3g} (x{bound / naive:.1f})"


def _memory(cost: ResourceUse | None) -> str:
    if cost is None or cost.peak_bytes is None or cost.base_bytes is None:
        return NONE
    added = (cost.peak_bytes - cost.base_bytes) / 1e6
    return f"{cost.peak_bytes / 1e6:.0f} (+{added:.0f})"


def _growth(cost: ResourceUse | None) -> str:
    if cost is None:
        return NONE
    if cost.left_out:
        return f"({cost.left_out})"
    taken = f"{cost.elapsed_seconds:.3g} s"
    if cost.peak_bytes is None or cost.base_bytes is None:
        return taken
    return f"{taken}, +{(cost.peak_bytes - cost.base_bytes) / 1e6:.0f}"
