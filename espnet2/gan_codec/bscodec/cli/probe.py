"""``bscodec probe``: what becomes of tones, sweeps, clicks, noise and levels."""

import argparse
import dataclasses
import json
from importlib.util import find_spec
from pathlib import Path

from espnet2.gan_codec.bscodec.cli.jobs import print_text
from espnet2.gan_codec.bscodec.cli.usage import UsageError, add_model_arguments

HELP = "put probe signals through a codec: tones, sweeps, clicks, noise, levels"
DESCRIPTION = """
Code a battery of probe signals and print, for each kind, how far the level is off and how much
of the energy is near the frequencies of the original. A signal passes if its level is within 3 dB
and, where it is made of lines, half of the energy within 3 % of them. DIR gets results.json,
summary.md and tones.png.
"""
CLIPS = ("speech_tux_be", "music_feelings")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("-o", "--out", default="probe", metavar="DIR", help="default: probe")
    add_model_arguments(parser, "bscodec-mini")
    parser.add_argument(
        "--held-back",
        action="store_true",
        help="tones of other frequencies, which nobody has tuned a model on",
    )


def run(args: argparse.Namespace) -> int:
    """Code all signals, print the summary; return the exit status."""
    if find_spec("matplotlib") is None:
        raise UsageError("the picture needs matplotlib: pip install 'espnet-bscodec[demo]'")

    import numpy as np
    from tqdm import tqdm

    from espnet2.gan_codec.bscodec.codec import Codec
    from espnet2.gan_codec.bscodec.demo.clips import SHIPPED
    from espnet2.gan_codec.bscodec.format.atomic import atomic_write
    from espnet2.gan_codec.bscodec.format.audio import AudioReader
    from espnet2.gan_codec.scoring.probe.measure import failures, measure
    from espnet2.gan_codec.scoring.probe.report import summary, tone_picture
    from espnet2.gan_codec.scoring.probe.signals import HELD_BACK, TONES, battery

    codec = Codec.from_pretrained(args.model, args.device, args.precision)
    rate = codec.sampling_rate
    clips = {}
    for name in CLIPS:
        with AudioReader(SHIPPED / f"{name}.flac") as reader:
            audio = np.concatenate(list(reader.mono_blocks(rate)))
        clips[name.partition("_")[0]] = audio[: 2 * rate]
    tones = tuple(map(float, HELD_BACK if args.held_back else TONES))
    results = []
    for probe in tqdm(list(battery(rate, clips, tones)), unit="signal", disable=None, leave=False):
        decoded = codec.decode(codec.encode(probe.audio, rate))
        results.append(measure(probe, decoded, rate))

    lines = summary(results)
    failed = failures(results)
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    rows = [{**dataclasses.asdict(result), "passes": result.passes} for result in results]
    files = {
        "results.json": json.dumps({"model": codec.tag, "results": rows}, indent=1).encode(),
        "summary.md": "\n".join([*lines, ""]).encode(),
        "tones.png": tone_picture(results),
    }
    for name, data in files.items():
        with atomic_write(out / name) as temporary:
            temporary.write_bytes(data)
    print_text("\n".join(lines))
    print_text(f"\n{len(results) - len(failed)} of {len(results)} signals pass; {out}/tones.png")
    return 0
