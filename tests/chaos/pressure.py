"""Back pressure: producers rest while much is pending, or duplicates would tell of the machine's speed alone."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Self

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from outbox.schema import message

_MOST = 500
_LOOK_SECONDS = 0.3


def pending(engine: Engine) -> int:
    """How many messages are pending."""
    with engine.connect() as connection:
        return connection.execute(select(func.count()).where(message.c.state == "pending")).scalar_one()


class Pressure:
    """`with Pressure(engine, path)`: keeps a file there while too much is pending."""

    def __init__(self, engine: Engine, enough: Path) -> None:
        self._engine = engine
        self._enough = enough
        self._looks = 0
        self._rests = 0
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="chaos-pressure")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        self._thread.join()
        self._enough.unlink(missing_ok=True)

    @property
    def share(self) -> float:
        """The share of the time in which producers had to rest."""
        return self._rests / max(1, self._looks)

    def _watch(self) -> None:
        while not self._ending.wait(_LOOK_SECONDS):
            with suppress(DBAPIError):  # it is being hurt: as before, then
                if pending(self._engine) > _MOST:
                    self._enough.touch()
                else:
                    self._enough.unlink(missing_ok=True)
            self._looks += 1
            self._rests += self._enough.exists()
