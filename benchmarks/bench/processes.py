"""What Linux says of a process."""

from __future__ import annotations

from pathlib import Path


def resident(pid: int) -> float:
    """MiB that it has in memory."""
    return _status(pid, "VmRSS")


def resident_peak(pid: int) -> float:
    """MiB that it had in memory at most."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:"))) / 1024
