"""Who changed what, and why: log lines on standard error, for those who come later."""

from __future__ import annotations

import getpass
import logging
import os
import socket
from collections.abc import Sequence
from typing import NamedTuple
from uuid import UUID

from outbox.render.logs import configure_logging
from outbox.settings import Settings

logger = logging.getLogger("outbox.audit")


def who() -> str:
    """The operator, as far as this machine knows them."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user id without a name, as in a container
        user = str(os.getuid())
    return f"{user}@{socket.gethostname()}"


class Audit(NamedTuple):
    """What is on record of one command, whatever `OUTBOX_LOG_LEVEL` is. No body and no part of one is in it."""

    command: str
    """The command, with the filters that it came to."""
    reason: str | None

    def begins(self, settings: Settings, count: int) -> None:
        """Write, before anything is changed, who does what to how many messages, and why: a kill leaves no time for it."""
        configure_logging(settings)
        logger.setLevel(logging.INFO)
        logger.info("%s begins: %s; messages: %d; reason: %s", who(), self.command, count, self.reason or "not given")

    def ended(self, done: int, how: str) -> None:
        """Write how many it was, and how it ended."""
        logger.info("%s %s: %s; messages changed: %d", who(), how, self.command, done)


def put_on_record(settings: Settings, command: str, ids: Sequence[UUID], reason: str | None) -> None:
    """Write what is to be done to messages that were named, where somebody says why."""
    if reason is not None:
        Audit(f"{command} {' '.join(map(str, ids))}", reason).begins(settings, len(ids))
