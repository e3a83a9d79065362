#!/usr/bin/env python3
"""The command ``bscodec``: parse, call, print. The rest is in ``bscodec/cli``."""

import argparse
import io
import os
import signal
import sys
import textwrap
import threading
import warnings
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from espnet2.gan_codec.bscodec.cli.examples import as_text
from espnet2.gan_codec.bscodec.cli.jobs import naming_stdout, one_line, print_line
from espnet2.gan_codec.bscodec.cli.usage import UsageError
from espnet2.gan_codec.bscodec.format.escapes import escaped

COMMANDS = (
    *("encode", "decode", "tokenize", "info", "models", "download", "upload"),
    *("export", "demo", "score", "probe", "versions", "doctor"),
)
DESCRIPTION = "BSCodec: a band-split neural audio codec for speech, sound and music."
EPILOG = """
examples:
  bscodec encode speech.flac         # speech.bsc beside it
  bscodec decode speech.bsc          # speech.wav, exactly as long
  bscodec tokenize recordings -o tokens
  bscodec encode --help              # options and examples of a command
"""
_PACKAGE = "espnet2.gan_codec.bscodec.cli"


class _Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"bscodec: error: {escaped(message)} (see '{self.prog} --help')\n")


class _Help(argparse.HelpFormatter):
    """Help whose texts have paragraphs; one that ends a line with a colon is left as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        def filled(paragraph: str) -> str:
            if paragraph.partition("\n")[0].endswith(":"):
                return textwrap.indent(paragraph, indent)
            words = " ".join(paragraph.split())
            return textwrap.fill(words, width, initial_indent=indent, subsequent_indent=indent)

        return "\n\n".join(map(filled, text.strip().split("\n\n")))


class _Version(argparse.Action):
    """Print the versions of this package and of what it stands on, without loading that."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> NoReturn:
        print_line(
            f"bscodec {_version_of('espnet-bscodec')} (ESPnet {_version_of('espnet')}, "
            f"torch {_version_of('torch')})"
        )
        parser.exit()


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def get_parser() -> argparse.ArgumentParser:
    """Return the parser of all subcommands."""
    parser = _Parser(prog="bscodec", description=DESCRIPTION, epilog=EPILOG, formatter_class=_Help)
    parser.add_argument(
        "--version", action=_Version, nargs=0, help="show the versions of this, ESPnet and torch"
    )
    subparsers = parser.add_subparsers(required=True, metavar="COMMAND")
    for name in COMMANDS:
        command = import_module(f"{_PACKAGE}.{name}")
        subparser = subparsers.add_parser(
            name,
            help=command.HELP,
            description=getattr(command, "DESCRIPTION", command.HELP),
            epilog="\n\n".join([getattr(command, "EPILOG", "").strip(), as_text(name)]).strip(),
            formatter_class=_Help,
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _end(number: int, _: object) -> NoReturn:
    """Clean up like an interrupted run, once."""
    for again in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(again, signal.SIG_IGN)
    sys.exit(128 + number)


def _open_what_is_closed() -> None:
    """Put nothing in the place of standard streams that the caller has closed, as with ``>&-``.

    Else the next file that is opened takes the number of one, and what a library prints goes in.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")


def main(cmd: list[str] | None = None) -> int:
    """Run a command line and return its exit status.

    That is 0, 1 (something failed), 2 (a command line that makes no sense) or 130 (interrupted).
    """
    # ESPnet's modules are scripted as they are imported, which torch 2.14 warns of on stderr
    warnings.filterwarnings("ignore", message=".*torch.jit.script.*")
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _end)
        signal.signal(signal.SIGHUP, _end)
    _open_what_is_closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files that are no Unicode
    parser = get_parser()
    if "_ARGCOMPLETE" in os.environ:  # the shell asks what could come next
        import argcomplete

        argcomplete.autocomplete(parser)
    try:
        try:
            args = parser.parse_args(cmd)
        except SystemExit:  # of --help, whose text may not have been written yet
            with naming_stdout():
                sys.stdout.flush()
            raise
        status = args.run(args)
        with naming_stdout():
            sys.stdout.flush()
        return status
    except BrokenPipeError:  # the reader of our output has gone, as with "| head"
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except UsageError as error:
        status, message = 2, one_line(error)
    except (ValueError, OSError) as error:
        status, message = 1, one_line(error)
    except KeyboardInterrupt:
        status, message = 130, "interrupted"
    except ImportError as error:  # for want of memory, too
        status, message = 1, f"a library cannot be loaded: {one_line(error)}"
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "memory" not in str(error):
            raise
        status, message = 1, "not enough memory"
    print(f"bscodec: error: {message}", file=sys.stderr)
    _drop_what_cannot_be_written()
    return status


def _drop_what_cannot_be_written() -> None:
    """Have Python not write it again as it ends: a second error, and the exit status 120."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
