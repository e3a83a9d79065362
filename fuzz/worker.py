"""One target under atheris: ``python -m fuzz.worker TARGET [what libFuzzer takes]``."""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import atheris
import numpy  # noqa: F401
import torch  # noqa: F401  before what is instrumented: espnet2 is, and nothing that it uses

with atheris.instrument_imports(include=["espnet2"]):
    from fuzz.parts import mutated
    from fuzz.targets import TARGETS, be_quiet

    be_quiet()
    target = TARGETS[sys.argv[1]]
    folder = Path(tempfile.mkdtemp(prefix="bscodec-fuzz-"))
    for seed in target.seeds():  # loads what is imported within functions
        target.run(seed, folder)


def main() -> None:
    """Fuzz until libFuzzer ends the process."""

    def custom_mutator(data: bytes, max_size: int, seed: int) -> bytes:
        def change(part: bytes) -> bytes:
            return atheris.Mutate(part, max_size)

        return mutated(target.layout, data, change, random.Random(seed))[:max_size]

    def test_one_input(data: bytes) -> None:
        target.run(data, folder)

    atheris.Setup([sys.argv[0], *sys.argv[2:]], test_one_input, custom_mutator=custom_mutator)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
