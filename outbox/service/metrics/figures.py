"""What only the database can tell, looked up beside the worker's work: on a thread and a connection of its own."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from outbox.clock import lease_clock
from outbox.settings import Settings
from outbox.store import TROUBLE
from outbox.store.engine import Engine, open_engine
from outbox.store.look import Counted, counted, oldest_due
from outbox.store.sockets import cut_silence
from outbox.store.transactions import Transactions

logger = logging.getLogger("outbox.worker")

LOOK_SECONDS = 10.0
"""Between two looks at least."""

_SHARE = 20.0
"""Times as long as a look took until the next one: in a big backlog looks cost the database a twentieth at most."""

_ANSWER_SECONDS = 20.0
_IDLE_SECONDS = 10.0
_LATE_SECONDS = 30.0


class Figures(NamedTuple):
    """How the outbox stands."""

    oldest_due: dict[str, float]
    """Seconds, by destination."""
    counted: Counted | None
    """None where counting took longer than the database lets it."""


class Looks:
    """Looks from time to time, and remembers what was found for as long as it is true enough."""

    def __init__(self, settings: Settings) -> None:
        self._names = tuple(settings.destinations)
        self._url = settings.database_url
        self._ending = threading.Event()
        self._latest: Figures | None = None
        self._good_until = -math.inf

    @property
    def figures(self) -> Figures | None:
        """What the last look found; None where the database has not answered since, or yet."""
        return self._latest if lease_clock() < self._good_until else None

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Look until the block ends."""
        thread = threading.Thread(target=self._look_on, name="outbox-figures", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._ending.set()

    def _look_on(self) -> None:
        engine = open_engine(self._url, idle_in_transaction=_IDLE_SECONDS)
        cut_silence(engine, _ANSWER_SECONDS)
        transactions = Transactions(engine, writes=False)
        pause = 0.0
        try:
            while not self._ending.wait(pause):
                pause = self._look(engine, transactions)
        finally:
            with contextlib.suppress(*TROUBLE):
                transactions.close()
            engine.dispose()

    def _look(self, engine: Engine, transactions: Transactions) -> float:
        """Look once; give how long to wait until the next look."""
        began = lease_clock()
        try:
            oldest = transactions.run(oldest_due, self._names)
            self._latest = Figures(oldest, _counted(transactions))
        except TROUBLE as error:  # of which the worker tells
            logger.debug("no figures of %s: %s", engine.dialect.name, type(error).__name__)
            return LOOK_SECONDS
        except Exception:
            logger.exception("looking for the metrics' figures raised")
            return LOOK_SECONDS
        ended = lease_clock()
        pause = max(LOOK_SECONDS, _SHARE * (ended - began))
        self._good_until = ended + pause + _LATE_SECONDS
        return pause


def _counted(transactions: Transactions) -> Counted | None:
    try:
        return transactions.run(counted)
    except TROUBLE:  # a table so big that the server ends the count
        return None
