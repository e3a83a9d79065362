"""What is measured, and what is left out because it would take too much."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import measure, memory
from benchmarks.measure import ResourceUse, costs, noise, speeds
from benchmarks.systems import System

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("seconds", [0.1, 1, 2.5, 21])
def test_noise_is_as_long_as_asked_for(seconds):
    blocks = list(noise(seconds, 1000))
    assert sum(map(len, blocks)) == seconds * 1000
    assert max(map(len, blocks)) <= 1000
    assert all(block.dtype == np.float32 for block in blocks)


def test_speeds_of_both_directions(systems):
    chosen = [systems[f"BSCodec 3-band SimVQ, {form}"] for form in ("engine", "naive")]
    rows = speeds([(system, system.make()) for system in chosen], 0.1, repeats=1, threads=1)
    assert [(row.form, row.direction) for row in rows] == [
        ("engine", "encode"),
        ("engine", "decode"),
        ("naive", "encode"),
        ("naive", "decode"),
    ]
    assert all(row.elapsed_seconds > 0 and row.audio_seconds == 0.1 for row in rows)


@pytest.mark.skipif(memory.resident() is None, reason="this system does not tell")
def test_memory_is_that_of_a_process_of_its_own(systems):
    ballast = np.ones(200 << 20, dtype=np.uint8)
    system = systems["BSCodec 3-band SimVQ, engine"]
    (cost,) = costs(system, "decode", [0.1], limit=100, threads=1)
    assert 0 < cost.base_bytes <= cost.peak_bytes < memory.resident() + ballast.nbytes
    assert cost.elapsed_seconds > 0 and cost.left_out is None


@pytest.mark.skipif(memory.resident() is None, reason="this system does not tell")
def test_the_peak_can_be_reset():
    code = """
import numpy as np
from benchmarks import memory

np.ones(100 << 20, dtype=np.uint8)  # and gone again
memory.reset_peak()
before = memory.peak()
held = np.ones(50 << 20, dtype=np.uint8)
assert memory.peak() >= before + 0.9 * held.nbytes
"""
    # in a process of its own: what this one frees meanwhile would hide the rise
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def growing(monkeypatch, seconds_each, bytes_each, free=10**10):
    """Costs of 1, 10, 60 and 600 s of audio, where each second takes as much."""
    ran = []

    def run(system, about, threads):
        ran.append(about[-1])
        added = int(bytes_each * about[-1])
        return ResourceUse(*about, seconds_each * about[-1], 10**9, 10**9 + added)

    monkeypatch.setattr(measure, "_run", run)
    monkeypatch.setattr(memory, "available", lambda: free)
    system = System("model", "form", lambda: None)
    return ran, list(costs(system, "encode", [1, 10, 60, 600], limit=100, threads=1))


def test_what_would_take_too_long_is_left_out(monkeypatch):
    ran, rows = growing(monkeypatch, seconds_each=2, bytes_each=1)
    assert ran == [1, 10]
    assert [row.left_out for row in rows] == [None, None, "about 120 s", "about 1200 s"]


def test_what_would_not_fit_is_left_out(monkeypatch):
    ran, rows = growing(monkeypatch, seconds_each=0.1, bytes_each=10**8)
    assert ran == [1, 10, 60]
    assert rows[-1].left_out == "about 60 GB" and rows[-1].peak_bytes is None


def test_what_is_affordable_is_run(monkeypatch):
    ran, rows = growing(monkeypatch, seconds_each=0.1, bytes_each=10)
    assert ran == [1, 10, 60, 600] and not any(row.left_out for row in rows)
