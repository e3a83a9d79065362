"""Resident memory of this process, as Linux counts it."""

from __future__ import annotations

from pathlib import Path

_STATUS = Path("/proc/self/status")


def resident() -> int | None:
    """Bytes that are resident now; None where the system does not tell."""
    return _read(_STATUS, "VmRSS")


def peak() -> int | None:
    """The most bytes that were resident since :func:`reset_peak`."""
    return _read(_STATUS, "VmHWM")


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
