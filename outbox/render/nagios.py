"""The line and the exit code of a monitoring plugin, by the Monitoring Plugins' guidelines."""

from __future__ import annotations

import math
from enum import IntEnum
from typing import NamedTuple

from outbox.render.ages import age
from outbox.render.text import safe
from outbox.settings.values import show_duration
from outbox.store.look import Health


class Level(IntEnum):
    """How it is: the exit code."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


class Limits(NamedTuple):
    """A value above one of these raises the alarm; infinity never does."""

    warn: float
    crit: float

    def level(self, value: float) -> Level:
        """What the value means."""
        return Level.CRITICAL if value > self.crit else Level.WARNING if value > self.warn else Level.OK

    def exceeded(self, value: float) -> float:
        """The limit that the value is above."""
        return self.crit if value > self.crit else self.warn


class Thresholds(NamedTuple):
    """What is asked for."""

    oldest_due: Limits
    """Seconds."""
    failed: Limits
    failed_since: float | None
    """Seconds."""
    workers: int
    """Living workers; fewer are critical."""


class _Part(NamedTuple):
    level: Level
    text: str


def judged(found: Health, wanted: Thresholds) -> tuple[Level, str]:
    """Say how it is: the worst first, then the performance data."""
    parts = [_due(found, wanted.oldest_due), _failed(found, wanted), _workers(found, wanted.workers)]
    parts += [_Part(Level.OK, f"{name} paused") for name in found.paused]
    worst = max(part.level for part in parts)
    texts = [part.text for part in sorted(parts, key=lambda part: -part.level)]
    return worst, f"{_line(worst, ', '.join(texts))} | {_performance(found, wanted)}"


def unknown(why: str) -> str:
    """The line that says why nothing is known."""
    return _line(Level.UNKNOWN, why)


def _line(level: Level, text: str) -> str:
    # Behind a bar the performance data would begin.
    return f"OUTBOX {level.name} - {safe(text).replace('|', '/')}"


def _due(found: Health, limits: Limits) -> _Part:
    if found.oldest_due is None:
        return _Part(Level.OK, "nothing due")
    level = limits.level(found.oldest_due)
    above = f" (more than {show_duration(limits.exceeded(found.oldest_due))})" if level else ""
    return _Part(level, f"oldest due {age(found.oldest_due)}{above}")


def _failed(found: Health, wanted: Thresholds) -> _Part:
    level = wanted.failed.level(found.failed)
    since = "" if wanted.failed_since is None else f" in the last {show_duration(wanted.failed_since)}"
    above = f" (more than {wanted.failed.exceeded(found.failed):.0f})" if level else ""
    return _Part(level, f"failed {found.failed}{since}{above}")


def _workers(found: Health, wanted: int) -> _Part:
    level = Level.CRITICAL if found.workers < wanted else Level.OK
    count = "no worker" if not found.workers else "1 worker" if found.workers == 1 else f"{found.workers} workers"
    return _Part(level, f"{count} (fewer than {wanted})" if level and wanted > 1 else count)


def _performance(found: Health, wanted: Thresholds) -> str:
    """`label=value[unit];[warn];[crit]`. A range `1:` is left by what is below 1."""
    workers = f";;{wanted.workers}:" if wanted.workers else ""
    return (
        f"oldest_due={int(found.oldest_due or 0.0)}s;{_number(wanted.oldest_due.warn)};{_number(wanted.oldest_due.crit)}"
        f" failed={found.failed};{_number(wanted.failed.warn)};{_number(wanted.failed.crit)}"
        f" workers={found.workers}{workers}"
    )


def _number(limit: float) -> str:
    return "" if math.isinf(limit) else f"{limit:.3f}".rstrip("0").rstrip(".")
