"""``-`` on a command line: standard input and output.

Both go through files in a temporary folder: in audio and ``.bsc`` files alike the length stands in
front, and what comes through a pipe cannot be read twice. So memory does not grow with the length,
and nothing comes out of a run that fails. TMPDIR says where the folder is.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from espnet2.gan_codec.bscodec.cli.usage import UsageError

DASH = "-"
STDIN, STDOUT = "standard input", "standard output"


class StandardStreams:
    """The inputs and the output of a command line, with files in the place of ``-``.

    Attributes:
        inputs: paths.
        output: a path; None: beside the input.
        holds_stdout: the output goes to standard output, where nothing else may then be printed.
    """

    def __init__(
        self, inputs: list[str], output: str | None, folder: Path | None = None, suffix: str = ""
    ) -> None:
        self.inputs, self.output = inputs, output
        self.holds_stdout = output == DASH
        self._names: dict[str, str] = {}
        if folder and DASH in inputs:
            self.inputs = [str(folder / "stdin")]
            self._names[self.inputs[0]] = STDIN
        if folder and self.holds_stdout:
            self.output = str(folder / f"stdout{suffix}")
            self._names[self.output] = STDOUT

    def named(self, text: str) -> str:
        """Return ``text`` without the names of temporary files."""
        for path, name in self._names.items():
            text = text.replace(path, name)
        return text

    def read(self) -> None:
        """Take all of standard input, if that is asked for. Raises OSError: the disk is full."""
        if STDIN in self._names.values():
            with open(self.inputs[0], "wb") as file:
                copy_stdin(file)

    def write(self) -> None:
        """Give the output to standard output, if that is asked for.

        Raises:
            BrokenPipeError: nobody reads it any more.
            OSError: it cannot be written.
        """
        if self.output is None or not self.holds_stdout:
            return
        with open(self.output, "rb") as file:
            try:
                shutil.copyfileobj(file, sys.stdout.buffer)
                sys.stdout.buffer.flush()
            except OSError as error:
                error.filename = STDOUT
                raise


@contextmanager
def standard_streams(
    inputs: list[str], output: str | None, suffix: str
) -> Iterator[StandardStreams]:
    """Yield a command line's inputs and output; the files behind ``-`` go when the block ends.

    Args:
        inputs: paths, or ``-`` alone.
        output: a path, ``-``, or None.
        suffix: of the file behind standard output.

    Raises:
        UsageError: ``-`` together with what does not go with it, or a terminal in its place.
    """
    if DASH not in inputs and output != DASH:
        yield StandardStreams(inputs, output)
        return
    _check(inputs, output)
    with tempfile.TemporaryDirectory(prefix="bscodec-") as folder:
        yield StandardStreams(inputs, output, Path(folder), suffix)


def _check(inputs: list[str], output: str | None) -> None:
    if DASH in inputs:
        if len(inputs) > 1:
            raise UsageError("-: standard input goes without other inputs")
        if output is None:
            raise UsageError("-: standard input needs -o, with a file or - for standard output")
        if output.endswith(os.sep) or os.path.isdir(output):
            raise UsageError(f"-o {output}: standard input needs the name of a file")
    if output == DASH:
        if len(inputs) > 1 or os.path.isdir(inputs[0]):
            raise UsageError("-o -: only a single file goes to standard output")
        if sys.__stdout__ is None:
            raise UsageError("-o -: standard output is closed")
        if sys.stdout.isatty():
            raise UsageError("-o -: standard output is a terminal, and this is no text")


def copy_stdin(file: BinaryIO) -> None:
    """Copy standard input into a file.

    Raises:
        UsageError: it is closed, or a terminal.
        OSError: the disk is full.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("-: nothing is piped into standard input")
    try:
        shutil.copyfileobj(sys.stdin.buffer, file)
        file.flush()
    except OSError as error:
        error.filename = f"{STDIN}, kept in {tempfile.gettempdir()}"
        raise
