"""Resident memory and open files of a process, as Linux counts them."""

from __future__ import annotations

import os
from pathlib import Path


def resident(process: int | str = "self") -> int | None:
    """Bytes that are resident now; None where the system does not tell."""
    return _read(Path(f"/proc/{process}/status"), "VmRSS")


def peak(process: int | str = "self") -> int | None:
    """The most bytes that were resident since :func:`reset_peak`."""
    return _read(Path(f"/proc/{process}/status"), "VmHWM")


def open_files(process: int | str = "self") -> int | None:
    """Files, pipes and the like that are open now; None where the system does not tell."""
    try:
        return len(os.listdir(f"/proc/{process}/fd"))
    except OSError:
        return None


def children(process: int) -> list[int]:
    """The processes that a process has started, and that run; none where nothing tells."""
    try:
        text = Path(f"/proc/{process}/task/{process}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]


def reset_peak() -> None:
    """Let the peak begin at what is resident now."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # the peak then is that of the whole process, which is no less


def available() -> int | None:
    """Bytes that all processes together can still take."""
    return _read(Path("/proc/meminfo"), "MemAvailable")


def _read(file: Path, key: str) -> int | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith(f"{key}:")]
    return int(found[0]) * 1024 if found else None
