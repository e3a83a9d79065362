"""A model's README.md on the hub: metadata for the hub, and the rest for readers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from espnet2.gan_codec.bscodec.format.escapes import escaped
from espnet2.gan_codec.bscodec.hub.config_file import (
    CODEC_NAMES,
    read_generator_config,
    read_yaml,
)
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import ModelFiles

TASK = "audio-to-audio"
CITATION = """\
@inproceedings{bscodec,
  title = {{BSCodec}: A Band-Split Neural Codec for High-Quality Universal Audio Reconstruction},
  author = {Wang and Shi and Tian and Li and Yu and Watanabe},
  booktitle = {Findings of the Association for Computational Linguistics: EACL},
  year = {2026},
  note = {arXiv:2511.06150}
}"""

# domain: {metric: mean}
Scores = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True)
class CardOptions:
    """What the model's files do not tell.

    Attributes:
        license: of the weights, an identifier of the hub's, such as ``cc-by-4.0``.
        datasets: identifiers on the hub of what it was trained on.
        scores: by domain and metric.
    """

    license: str | None = None
    datasets: Sequence[str] = ()
    scores: Scores | None = None


def read_scores(path: Path) -> Scores:
    """Read the means by domain and metric from a ``summary.json`` of ``bscodec score``.

    Raises:
        ModelError: it is none, or is of several systems.
        OSError: it cannot be read.
    """
    try:
        systems = json.loads(path.read_text(encoding="utf-8"))["systems"]
        names = list(systems)
        if len(names) != 1:
            raise ModelError(f"{path}: expected the scores of one system, got {len(names)}")
        return {
            domain: {name: float(value["mean"]) for name, value in group["metrics"].items()}
            for domain, group in systems[names[0]]["domains"].items()
        }
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, json.JSONDecodeError) as e:
        raise ModelError(f"{path}: no summary.json of bscodec score") from e


def model_card(files: ModelFiles, repository: str, options: CardOptions) -> str:
    """Write a card for the model ``files`` in ``repository``.

    Raises:
        ModelError: its config cannot be read.
    """
    from huggingface_hub import ModelCardData

    is_ours = read_yaml(files.config).get("codec") in CODEC_NAMES
    scores, name = options.scores or {}, escaped(files.tag)
    data = ModelCardData(
        library_name="espnet",
        pipeline_tag=TASK,
        license=options.license,
        datasets=list(options.datasets) or None,
        tags=["espnet", "audio", "audio-codec", *(["bscodec"] if is_ours else [])],
        metrics=sorted({name for means in scores.values() for name in means}) or None,
        model_name=name,
        eval_results=_results(scores) or None,
    )
    metadata = data.to_yaml().strip()
    parts = [f"---\n{metadata}\n---\n\n# {name}"]
    if is_ours:
        parts += [_OURS, "## Bit rates", _bitrates(files.config)]
        parts += ["## Usage", _USAGE.format(repository=repository)]
    else:
        parts.append("A neural audio codec, trained with ESPnet. `meta.yaml` names its files.")
    if scores:
        parts += ["## Scores", _SCORES, _score_table(scores)]
    if is_ours:
        parts += ["## Citation", f"```bibtex\n{CITATION}\n```"]
    return "\n\n".join(parts) + "\n"


def _results(scores: Scores) -> list[Any]:
    from huggingface_hub import EvalResult

    return [
        EvalResult(
            task_type=TASK,
            dataset_type=domain,
            dataset_name=f"{domain} of the test sets",
            metric_type=metric,
            metric_value=round(value, 4),
        )
        for domain, means in scores.items()
        for metric, value in means.items()
    ]


_OURS = """\
BSCodec, a neural audio codec that codes bands of frequency each by itself, trained with ESPnet and
espnet-bscodec. The config and the weights are named in `meta.yaml`."""
_USAGE = """\
```sh
pip install espnet-bscodec
bscodec encode speech.wav --model {repository}
bscodec decode speech.bsc -o decoded.wav --model {repository}
```

```python
from espnet2.bin.gan_codec_inference import AudioCoding

coding = AudioCoding.from_pretrained("{repository}")
```"""
_SCORES = "Means over the test sets, by `bscodec score`."


def _bitrates(config: Path) -> str:
    """A table of what the lowest 1, 2, ... streams of codes take."""
    generator, rate = read_generator_config(config)
    lines = [
        f"{rate} Hz, {rate / generator.hop_length:g} frames/s.",
        "",
        "| streams of codes | up to (Hz) | codes | kbit/s |",
        "|---|---|---|---|",
    ]
    bits = 0
    pairs = zip(generator.streams, generator.codebook_sizes, strict=True)
    for number, ((_, high), size) in enumerate(pairs, start=1):
        bits += (size - 1).bit_length()
        kbps = bits * rate / generator.hop_length / 1000
        lines.append(f"| {number} | {high:g} | {size} | {kbps:.2f} |")
    return "\n".join(lines)


def _score_table(scores: Scores) -> str:
    names = list(dict.fromkeys(name for means in scores.values() for name in means))
    rows = [["", *names], ["---"] * (len(names) + 1)]
    for domain, means in scores.items():
        values = (f"{means[name]:.3f}" if name in means else "" for name in names)
        rows.append([domain, *values])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)
