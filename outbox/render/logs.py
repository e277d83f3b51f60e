"""Logs: a line for people, or a JSON object for machines, on stderr. The journal is told how urgent each is."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from outbox.render.text import safe
from outbox.render.traces import trace
from outbox.settings import Settings
from outbox.settings.journal import reaches_journal

_STDERR = 2


class _Stderr(logging.Handler):
    """Writes to whatever `sys.stderr` is now: a progress bar stands in for it while it is shown."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            text = self.format(record)
            sys.stderr.write((_prioritised(text, record.levelno) if self._journal else text) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


class _Console(logging.Formatter):
    """`2026-01-31T12:00:00.123Z warning outbox.worker: text`, harmless for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record, one line; a traceback follows on its own lines."""
        line = f"{_moment(record)} {record.levelname.lower()} {record.name}: {safe(record.getMessage())}"
        raised = _raised(record)
        return f"{line}\n{raised}" if raised else line


class _Json(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        entry = {
            "time": _moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if raised := _raised(record):
            entry["exception"] = raised
        return json.dumps(entry)


def _prioritised(text: str, level: int) -> str:
    """The text with its priority before each line, each of which is an entry of the journal's (sd-daemon(3))."""
    priority = next(number for least, number in _PRIORITIES if level >= least)
    return "\n".join(f"<{priority}>{line}" for line in text.split("\n"))


_PRIORITIES = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))
"""Levels, and syslog's numbers for them."""


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _raised(record: logging.LogRecord) -> str:
    """Where what the record tells of was raised; empty if it tells of no exception."""
    error = record.exc_info[1] if record.exc_info else None
    return "" if error is None else trace(error)


def configure_logging(settings: Settings) -> None:
    """Send the outbox's own loggers to stderr. Other libraries' loggers are left as they are."""
    handler = _Stderr(journal=reaches_journal(_STDERR))
    handler.setFormatter(_Json() if settings.log_format == "json" else _Console())
    logger = logging.getLogger("outbox")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(settings.log_level.upper())
