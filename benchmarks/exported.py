"""``python -m benchmarks.exported``: the exported forms beside the model, for docs/export.md.

Each model codes the demo's clips whole and on one thread: how many codes differ, by how much the
audio of the same codes does, what the files take, and how many times as fast as the sound it is.
The published sizes have random weights, so their distances to the originals say nothing.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import yaml
from safetensors.torch import save_file

from benchmarks.systems import FIVE_BANDS, NO_DISCRIMINATOR, THREE_BANDS, published
from benchmarks.timing import best_times
from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.demo.clips import Clip, find_clips
from espnet2.gan_codec.bscodec.demo.exported import Coder, measure, read_clip
from espnet2.gan_codec.bscodec.hub.config_file import read_codec_conf
from espnet2.gan_codec.bscodec.hub.export import package_model
from espnet2.gan_codec.bscodec.hub.onnx_codec import OnnxCodec
from espnet2.gan_codec.bscodec.hub.onnx_export import OPSET, export_onnx
from espnet2.gan_codec.bscodec.hub.resolver import DEFAULT_MODEL

HEAD = (
    "| model | form | MB | codes that differ | near-ties | audio, at most | mel distance "
    "| encodes | decodes |\n|---|---|---|---|---|---|---|---|---|"
)


@dataclass(frozen=True)
class Form:
    """A way to write a model: ``write(name, folder)`` makes files of ``suffixes``."""

    name: str
    write: Callable[[str, Path], object]
    suffixes: tuple[str, ...]

    def load(self, folder: Path) -> Codec | OnnxCodec:
        return OnnxCodec(folder) if ".onnx" in self.suffixes else Codec.from_pretrained(folder)


def _onnx(precision: str) -> Callable[[str, Path], object]:
    return lambda name, folder: export_onnx(name, folder, precision)


def _safetensors(half: bool, small: bool) -> Callable[[str, Path], object]:
    return lambda name, folder: package_model(name, folder, half, small)


FORMS = {
    "half": Form("safetensors, --half", _safetensors(True, False), (".safetensors",)),
    "small": Form(
        "safetensors, --half --small-codebooks", _safetensors(True, True), (".safetensors",)
    ),
    "onnx": Form("ONNX", _onnx("exact"), (".onnx",)),
    "onnx-half": Form("ONNX, --half", _onnx("half"), (".onnx",)),
    "onnx-int8": Form("ONNX, --int8", _onnx("int8"), (".onnx",)),
}


def rows(
    name: str, label: str, forms: Sequence[Form], clips: Sequence[Clip], repeats: int
) -> Iterator[str]:
    """The table's lines of one model, that of the model itself first."""
    codec = Codec.from_pretrained(name, "cpu")
    own = Coder.of(codec)
    audios = [read_clip(clip, codec.sampling_rate) for clip in clips]
    seconds = sum(map(len, audios)) / codec.sampling_rate
    codes = [own.encode(audio) for audio in audios]

    def speeds(coders: Sequence[Coder]) -> list[tuple[float, float]]:
        ways = [lambda c=c: [c.encode(a) for a in audios] for c in coders]
        ways += [
            lambda c=c: [c.decode(k, len(a)) for k, a in zip(codes, audios, strict=True)]
            for c in coders
        ]
        times = [seconds / t for t in best_times(ways, repeats)]
        return list(zip(times[: len(coders)], times[len(coders) :], strict=True))

    for form in forms:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, label.replace(" ", "-"))
            form.write(name, folder)
            size = sum(p.stat().st_size for p in folder.iterdir() if p.suffix in form.suffixes)
            exported = Coder.of(form.load(folder))
            loss = measure(codec, exported, clips)
            (ours, theirs) = speeds([own, exported])
        if form is forms[0]:
            weights = codec.checkpoint.stat().st_size / 1e6
            yield (
                f"| {label} | the model itself | {weights:.1f} | | | | {loss.mel:.4f} "
                f"| {ours[0]:.3g}x | {ours[1]:.3g}x |"
            )
        yield (
            f"| {label} | {form.name} | {size / 1e6:.1f} | {loss.differing} of {loss.codes} "
            f"| {loss.near_ties} | {loss.audio_error:.1e} | {loss.mel_exported:.4f} "
            f"| {theirs[0]:.3g}x | {theirs[1]:.3g}x |"
        )


def write_random(config: Path, folder: Path) -> None:
    """Write a published size with random weights as an experiment folder."""
    model = published(config)
    conf = read_codec_conf(config) | {"discriminator_params": NO_DISCRIMINATOR}
    folder.mkdir(parents=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"codec": "bscodec", "codec_conf": conf}))
    weights = {f"generator.{k}": v.contiguous() for k, v in model.generator.state_dict().items()}
    save_file(weights, folder / "model.safetensors")


def main(cmd: Sequence[str] | None = None) -> int:
    """Print the table; return the exit status."""
    parser = argparse.ArgumentParser(prog="exported", description=__doc__)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"default: {DEFAULT_MODEL}, without --published"
    )
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    parser.add_argument(
        "--published", metavar="CONF", help="the published sizes, by the configs of this folder"
    )
    parser.add_argument("--every", type=int, default=1, metavar="N", help="every Nth clip only")
    parser.add_argument("--repeats", type=int, default=3, help="the best of so many times counts")
    args = parser.parse_args(cmd)
    torch.set_num_threads(1)
    forms, clips = [FORMS[name] for name in args.forms], find_clips()[:: args.every]
    print(f"ONNX opset {OPSET}, one thread\n\n{HEAD}")
    try:
        for name in args.models or ([] if args.published else [DEFAULT_MODEL]):
            for row in rows(name, name, forms, clips, args.repeats):
                print(row, flush=True)
        for config in (THREE_BANDS, FIVE_BANDS) if args.published else ():
            with tempfile.TemporaryDirectory() as temporary:
                label = Path(config).stem.removeprefix("train_")
                write_random(Path(args.published, config), Path(temporary, label))
                for row in rows(str(Path(temporary, label)), label, forms, clips, args.repeats):
                    print(row, flush=True)
    except (ValueError, OSError) as error:
        print(f"exported: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
