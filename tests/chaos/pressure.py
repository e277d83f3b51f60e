"""Back pressure: producers rest while much is pending, or duplicates would tell of the machine's speed alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine, func, select
from sqlalchemy.exc import DBAPIError

from outbox.schema import message

_MOST = 200
_LOOK_SECONDS = 0.3


def pending(engine: Engine) -> int:
    """How many messages are pending."""
    with engine.connect() as connection:
        return connection.execute(select(func.count()).where(message.c.state == "pending")).scalar_one()


@contextmanager
def pressure(engine: Engine, enough: Path) -> Iterator[None]:
    """Keep a file there while more are pending than workers take at once, until the block ends."""
    ending = threading.Event()

    def watch() -> None:
        while not ending.wait(_LOOK_SECONDS):
            try:
                is_enough = pending(engine) > _MOST
            except DBAPIError:  # it is being hurt: as before, then
                continue
            if is_enough:
                enough.touch()
            else:
                enough.unlink(missing_ok=True)

    thread = threading.Thread(target=watch, name="chaos-pressure")
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        enough.unlink(missing_ok=True)
