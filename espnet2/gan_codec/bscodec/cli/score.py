"""``bscodec score``: how near decoded audio is to the original, for any number of codecs."""

import argparse
import shlex
from pathlib import Path

from espnet2.gan_codec.bscodec.cli.jobs import print_note, print_text
from espnet2.gan_codec.bscodec.cli.places import add_place_arguments, open_cluster
from espnet2.gan_codec.bscodec.cli.usage import UsageError

HELP = "score decoded audio against the original, with the metrics of the paper"
DESCRIPTION = """
Compare decoded utterances with their originals and write DIR/utterances.tsv, summary.json,
summary.md and report.html. A run that was cut off, or is asked for more, goes on where it was.
"""
EPILOG = """
A wav.scp has lines "name path"; in a folder, files are named by their path without suffix. What
each metric is, and what becomes of silent, short and unequal pairs, is said in docs/scoring.md.
"""
UNNAMED = "decoded"
MAX_NAMED = 3  # failed pairs, on the terminal


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    scored = parser.add_argument_group("what is scored")
    what = scored.add_mutually_exclusive_group(required=True)
    what.add_argument("--ref", type=Path, metavar="REF", help="originals: a wav.scp or a folder")
    what.add_argument(
        "--merge",
        nargs="+",
        metavar="[NAME=]DIR",
        help="take results of earlier runs together, as of several test sets or models; NAME: of "
        "the system in DIR",
    )
    scored.add_argument(
        "--hyp",
        action="append",
        default=[],
        metavar="[NAME=]HYP",
        help="decoded audio of a system: a wav.scp or a folder; may be repeated with names",
    )
    scored.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="CODEC:KBPS",
        help="code the originals with another codec and score that, and its speed: opus:12, "
        "encodec:6, dac:6 (encodec:6@PATH and dac:6@FILE take weights from there), or "
        "bscodec:MODEL; may be repeated",
    )
    metrics = parser.add_argument_group("metrics")
    metrics.add_argument(
        "--domain",
        default="auto",
        choices=("speech", "sound", "music", "auto"),
        help="which metrics there are; auto: what the names of utterances or of REF say",
    )
    add_place_arguments(
        parser,
        "processes, and utterances that a peer codes at a time (default: one per CPU where "
        "there are pairs enough, and one utterance, since its speed is measured)",
    )
    metrics.add_argument(
        "--metrics", metavar="A,B", help="these, for every pair; default: those of the domain"
    )
    scored.add_argument(
        "--codes",
        action="append",
        default=[],
        metavar="[NAME=]CODES",
        help="codec.scp, or folder of .bsc files, of a system: bitrate, and use of its codebooks",
    )
    scored.add_argument(
        *("--codebook-sizes", "--codebook_sizes"),
        metavar="K,K",
        help="codes of each codebook, or of all; default: as config.yaml above codec.scp says",
    )
    metrics.add_argument(
        "--backend",
        default="own",
        choices=("own", "versa"),
        help="versa: VERSA computes the metrics that it has, if it is installed (default: own)",
    )
    metrics.add_argument(
        *("--score-configs", "--score_configs"),
        type=Path,
        default=Path("conf"),
        metavar="DIR",
        help="of VERSA: score_speech.yaml, score_sound.yaml, score_music.yaml (default: conf, as "
        "in the recipe)",
    )
    metrics.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    metrics.add_argument(
        "--utmos", metavar="REPO", help="torch.hub repository or local copy of it"
    )
    metrics.add_argument(
        *("--speaker-model", "--speaker_model"),
        metavar="MODEL",
        help="of SPK_SIM: a Hugging Face name, or a folder with config.yaml and a .pth file",
    )
    output = parser.add_argument_group("output")
    output.add_argument(
        "--outdir",
        required=True,
        type=Path,
        metavar="DIR",
        help="of tables and report; made if needed",
    )
    output.add_argument(
        *("--no-report", "--no_report"), action="store_true", help="do not make report.html"
    )


def run(args: argparse.Namespace) -> int:
    """Score, or take scores together; return the exit status: 1 if no pair has a score."""
    if args.merge:
        request, results = _merge(args)
    else:
        request, results = _score(args)

    from espnet2.gan_codec.scoring.tables import to_markdown

    print_text(to_markdown(results.systems, results.missing).partition("\n## Means")[0].strip())
    if not args.no_report:
        _write_report(request, results)
    failures = [o for o in results.results if o.failure]
    for result in failures[:MAX_NAMED]:
        print_note(f"{result.task.system}: {result.task.name}: {result.failure}")
    if failures:
        count = f"{len(failures)} of {len(results.results)} pairs failed"
        print_note(f"{count}; {args.outdir / 'utterances.tsv'} says why")
    return 1 if len(failures) == len(results.results) else 0


def _score(args: argparse.Namespace):
    systems = _named(args.hyp, "--hyp")
    code_lists = _named(args.codes, "--codes")
    sizes = _sizes(args.codebook_sizes)
    if not systems and not args.peer:
        raise UsageError("expected --hyp, --peer or both")
    unknown = code_lists.keys() - systems.keys()
    if unknown:
        raise UsageError(f"--codes {unknown.pop()}: there is no --hyp of that name")

    from espnet2.gan_codec.scoring import codes, peers, versa
    from espnet2.gan_codec.scoring.run import score
    from espnet2.gan_codec.scoring.summary import CodingStats

    if args.backend == "versa":
        versa.find_program()  # before peers take their time
    costs = {}
    for name, source in code_lists.items():
        report = codes.read_codes(source, sizes)
        per_frame = report.bits_per_frame
        bits = {n: f * per_frame for n, f in report.frames_by_name.items()} if per_frame else {}
        costs[name] = CodingStats(bits, codes=report)
    coded = peers.code_all(args.peer, args.ref, args.outdir, args.nj or 1, print_note)
    for name, (folder, cost) in coded.items():
        if name in systems:
            raise UsageError(f"--hyp {name}: a peer has that name")
        systems[name], costs[name] = folder, cost
    if not systems:
        raise ValueError("none of the peers can be had")
    request = _request(args, systems)
    return request, score(request, costs, print_note)


def _place(args: argparse.Namespace):
    if args.cluster:
        return open_cluster(args.cluster, "cpu")
    from espnet2.gan_codec.bscodec.inference.executors import Processes

    return Processes(("cpu",) * args.nj) if args.nj else None


def _merge(args: argparse.Namespace):
    if args.hyp or args.peer or args.codes or args.backend != "own":
        raise UsageError(
            "--merge takes results as they are, without --hyp, --peer, --codes or --backend"
        )

    from espnet2.gan_codec.scoring.run import merge

    runs = []
    for word in args.merge:
        name, equals, path = word.partition("=")
        named = equals and "/" not in name
        runs.append((name, Path(path)) if named else (None, Path(word)))
    request = _request(args, {})
    return request, merge(request, runs, print_note)


def _request(args: argparse.Namespace, systems: dict[str, Path]):
    from espnet2.gan_codec.scoring.metrics.catalogue import Options
    from espnet2.gan_codec.scoring.run import Request

    return Request(
        reference=args.ref or Path(),
        systems=systems,
        domain=args.domain,
        outdir=args.outdir,
        metrics=args.metrics.split(",") if args.metrics else None,
        options=Options(args.utmos, args.speaker_model),
        place=_place(args),
        jobs=args.nj or 1,
        seed=args.seed,
        command=_command_line(args),
        versa=args.score_configs if args.backend == "versa" else None,
    )


def _write_report(request, results) -> None:
    from espnet2.gan_codec.scoring.metrics.metric import UnavailableError
    from espnet2.gan_codec.scoring.report import build_report
    from espnet2.gan_codec.scoring.run import write

    try:
        page = build_report(
            results.systems, results.results, results.missing, request.command, results.messages
        )
    except UnavailableError as error:
        print_note(f"no report: {error}")
        return
    write(request.outdir / "report.html", page)
    print_text(f"\n{request.outdir / 'report.html'}: open it in a browser to see and listen")


def _named(words: list[str], option: str) -> dict[str, Path]:
    """Read NAME=PATH words; one without a name is called UNNAMED."""
    named: dict[str, Path] = {}
    for word in words:
        name, equals, path = word.partition("=")
        if not equals or "/" in name:
            name, path = UNNAMED, word
        if not name or not path:
            raise UsageError(f"{option} {word}: expected NAME=PATH")
        if name in named:
            raise UsageError(f"{option}: two are called {name}; give names: {option} NAME=PATH")
        named[name] = Path(path)
    return named


def _sizes(text: str | None) -> list[int] | None:
    try:
        sizes = [int(word) for word in text.split(",")] if text else None
    except ValueError:
        sizes = [0]
    if sizes and min(sizes) < 1:
        raise UsageError(f"--codebook-sizes {text}: expected whole numbers of codes")
    return sizes


def _command_line(args: argparse.Namespace) -> str:
    """The command that does the same again."""
    words = ["bscodec", "score"]
    words += ["--merge", *args.merge] if args.merge else ["--ref", str(args.ref)]
    words += ["--domain", args.domain] if args.ref else []
    if args.backend == "versa":
        words += ["--backend", "versa", "--score-configs", str(args.score_configs)]
    for option in ("hyp", "peer", "codes"):
        for value in getattr(args, option):
            words += [f"--{option}", value]
    for option in ("metrics", "codebook_sizes", "utmos", "speaker_model"):
        value = getattr(args, option)
        words += [f"--{option.replace('_', '-')}", value] if value else []
    return shlex.join([*words, "--seed", str(args.seed), "--outdir", str(args.outdir)])
