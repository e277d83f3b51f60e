"""Logs: a line for people, or a JSON object for machines, on stderr."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

from outbox.render.text import safe
from outbox.settings import Settings


class _Stderr(logging.Handler):
    """Writes to whatever `sys.stderr` is now: a progress bar stands in for it while it is shown."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except (OSError, ValueError):
            self.handleError(record)


class _Console(logging.Formatter):
    """`2026-01-31T12:00:00.123Z warning outbox.worker: text`, harmless for a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record, one line; a traceback follows on its own lines."""
        line = f"{_moment(record)} {record.levelname.lower()} {record.name}: {safe(record.getMessage())}"
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


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
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry)


def _moment(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def configure_logging(settings: Settings) -> None:
    """Send the outbox's own loggers to stderr. Other libraries' loggers are left as they are."""
    handler = _Stderr()
    handler.setFormatter(_Json() if settings.log_format == "json" else _Console())
    logger = logging.getLogger("outbox")
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(settings.log_level.upper())
