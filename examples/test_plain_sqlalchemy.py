"""How an application tests its code with the outbox: the tests of plain_sqlalchemy.py.

To run them, where the outbox is installed::

    pytest examples/test_plain_sqlalchemy.py
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from plain_sqlalchemy import open_shop, place_order
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from outbox.migrate import upgrade
from outbox.testing import Drained, ThreadedFakeServer, assert_enqueued, drain, refute_enqueued


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """Give the shop's database, and the outbox's tables in it: a file, so that a worker sees it, too."""
    monkeypatch.setenv("OUTBOX_PROJECT_ID", "my-project")
    engine = open_shop(f"sqlite:///{tmp_path / 'shop.db'}")
    upgrade(engine)
    yield engine
    engine.dispose()


def test_an_order_tells_of_itself(engine: Engine) -> None:
    """Looked at within the test's own transaction, which commits nothing."""
    with Session(engine) as session:
        place_order(session, "user_1", "premium", Decimal("29.99"))
        placed = assert_enqueued(
            session,
            "$subscription_purchase",
            properties={"price": Decimal("29.99")},
            identity={"unique_identifier": "user_1"},
        )
        assert placed.properties == {"plan": "premium", "price": 29.99}
        refute_enqueued(session, "$subscription_upgrade")


def test_an_order_that_rolls_back_tells_nothing(engine: Engine) -> None:
    """Nothing of it is left in the outbox."""
    with Session(engine) as session:
        place_order(session, "user_1", "premium", Decimal("29.99"))
        session.rollback()
        refute_enqueued(session)


def test_an_outage_is_survived(engine: Engine, outbox_server: ThreadedFakeServer) -> None:
    """The whole way, by the real worker, to a destination that is down at first."""
    outbox_server.script = "per-key: 503 x2, ok"
    with Session(engine) as session, session.begin():
        place_order(session, "user_1", "premium", Decimal("29.99"))
    assert drain(engine, outbox_server) == Drained(delivered=1)
    assert [one.answer for one in outbox_server.received] == ["503", "503", "200"]
    assert len(outbox_server.keys) == 1
