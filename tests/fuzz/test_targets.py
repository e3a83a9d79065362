"""What ``make fuzz`` calls, without it: seeds, cases that it once found, and random changes."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.parts import mutated
from fuzz.targets import TARGETS

CASES = Path(__file__).resolve().parents[2] / "fuzz" / "cases"
SEEDS = {}


def seeds_of(name):
    if name not in SEEDS:
        SEEDS[name] = TARGETS[name].seeds()
    return SEEDS[name]


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_accepted_also_when_put_together_again(tmp_path, name):
    target = TARGETS[name]
    for seed in seeds_of(name):
        assert target.run(seed, tmp_path)
        parts = target.layout.split(seed)
        assert parts is None or target.run(target.layout.join(parts), tmp_path)


@pytest.mark.parametrize("name", TARGETS)
def test_what_fuzzing_found_stays_mended(tmp_path, name):
    for path in sorted(CASES.glob(f"{name}/*")):
        TARGETS[name].run(path.read_bytes(), tmp_path)


def test_every_case_is_of_a_target():
    assert {path.name for path in CASES.iterdir()} <= TARGETS.keys()


def spliced(data, start, length, new):
    start = int(start * len(data))
    return data[:start] + new + data[start + length :]


@pytest.mark.parametrize("name", TARGETS)
def test_random_changes_end_in_documented_errors(tmp_path_factory, name):
    target, seeds = TARGETS[name], seeds_of(name)
    folder = tmp_path_factory.mktemp(name)

    @settings(max_examples=15 if name == "model" else 60)
    @given(
        seed=st.sampled_from(seeds),
        start=st.floats(0, 1),
        length=st.integers(0, 8),
        new=st.binary(max_size=8) | st.text(max_size=4).map(str.encode),
        choices=st.randoms(use_true_random=False),
    )
    def check(seed, start, length, new, choices):
        rng = random.Random(choices.random())
        changed = mutated(target.layout, seed, lambda part: spliced(part, start, length, new), rng)
        target.run(changed, folder)

    check()
