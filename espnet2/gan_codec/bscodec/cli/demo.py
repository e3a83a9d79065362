"""``bscodec demo``: code clips, score them, and lay the results out on a page."""

import argparse
import dataclasses
import shlex
from importlib.util import find_spec
from pathlib import Path

from espnet2.gan_codec.bscodec.cli.jobs import print_line, print_text
from espnet2.gan_codec.bscodec.cli.usage import add_model_arguments

HELP = "code the clips that come with the package and make a page of the results"
DESCRIPTION = """
Code clips to .bsc files and back, print bitrates, distances and speeds of each clip and domain,
and write them with pictures and players to DIR/report.html, a page that needs nothing beside it.
"""
PACKAGES = ("auraloss", "jinja2", "matplotlib")
NOTES = """\
kbps: thousands of bits for a second of audio, of the file on disk and of the codes in it.
Distances: MelSTFTLoss and STFTLoss of auraloss with their defaults, at 24 kHz; lower is better.
encode, decode: multiples of real time, from file to file, the median of {runs} runs."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--out", default="demo", metavar="DIR", help="folder for what is made (default: demo)"
    )
    add_model_arguments(parser, "bscodec-mini")
    parser.add_argument(
        "--clips",
        metavar="DIR",
        help="audio files to code instead of the shipped ones; a name that begins with speech_, "
        "sound_ or music_ says the domain, and licences.tsv beside them where they come from",
    )
    served = parser.add_argument_group("a page that codes what one gives it, instead")
    served.add_argument(
        "--serve",
        action="store_true",
        help="serve it by gradio until interrupted; nothing is kept (extra [serve])",
    )
    served.add_argument(
        "--host",
        default="127.0.0.1",
        help="where; 0.0.0.0 lets other machines in (default: %(default)s)",
    )
    served.add_argument(
        "--port", type=_port, default=7860, help="0: one that is free (default: %(default)s)"
    )


def run(args: argparse.Namespace) -> int:
    """Make encoded/, decoded/, results.tsv, results.json and report.html, or serve a page.

    Returns:
        The exit status.
    """
    if args.serve:
        return _serve(args)
    from espnet2.gan_codec.bscodec.demo.clips import SHIPPED, find_clips

    _check_packages()
    clips = find_clips(Path(args.clips) if args.clips else SHIPPED)

    from tqdm import tqdm

    from espnet2.gan_codec.bscodec.codec import Codec
    from espnet2.gan_codec.bscodec.demo import results
    from espnet2.gan_codec.bscodec.demo.info import ModelInfo, RunInfo
    from espnet2.gan_codec.bscodec.demo.report import build_report
    from espnet2.gan_codec.bscodec.demo.run import RUNS, code_clip
    from espnet2.gan_codec.scoring.metrics.mel_distance import MelDistance
    from espnet2.gan_codec.scoring.metrics.metric import Metric
    from espnet2.gan_codec.scoring.metrics.stft_distance import STFTDistance

    codec = Codec.from_pretrained(args.model, args.device, args.precision)
    metrics: list[Metric] = [MelDistance(), STFTDistance()]
    out = Path(args.out)
    out.mkdir(parents=True, exist_ok=True)
    bar = tqdm(clips, unit="clip", disable=None, leave=False)
    coded = [code_clip(codec, clip, out, metrics) for clip in bar]

    rows = [c.result for c in coded]
    domains = results.pool_domains(rows)
    model, facts = ModelInfo.of(codec), RunInfo.of(codec, _command_line(args))
    facts_by_name: dict[str, object] = {
        "model": dataclasses.asdict(model),
        "run": dataclasses.asdict(facts),
    }
    _write(out / "results.tsv", results.to_tsv(rows, domains))
    _write(out / "results.json", results.to_json(rows, domains, facts_by_name))
    _write(out / "report.html", build_report(coded, domains, model, facts))
    print_text(results.text_table(rows, domains))
    print_text(
        f"\n{NOTES.format(runs=RUNS)}\n\n{out / 'report.html'}: open it in a browser to listen"
    )
    return 0


def _serve(args: argparse.Namespace) -> int:
    _check_packages()

    from espnet2.gan_codec.bscodec.codec import Codec
    from espnet2.gan_codec.bscodec.demo.serve import serve

    codec = Codec.from_pretrained(args.model, args.device, args.precision)
    serve(
        *(codec, args.host, args.port),
        started=lambda address: print_line(f"{address}: open it in a browser; Ctrl-C ends it"),
    )
    return 0


def _check_packages() -> None:
    from espnet2.gan_codec.bscodec.demo.clips import DemoError

    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        raise DemoError(f"the demo also needs {names}: pip install 'espnet-bscodec[demo]'")


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 65535")
    return int(text)


def _command_line(args: argparse.Namespace) -> str:
    """The command that does the same again."""
    words = ["bscodec", "demo", "--out", args.out, "--model", args.model]
    words += ["--clips", args.clips] if args.clips else []
    words += ["--precision", args.precision] if args.precision else []
    return shlex.join([*words, "--device", args.device])


def _write(path: Path, text: str) -> None:
    from espnet2.gan_codec.bscodec.format.atomic import atomic_write

    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
