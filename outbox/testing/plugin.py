"""The outbox's pytest plugin: a fixture. Nothing but pytest is imported until a test asks for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from outbox.testing import ThreadedFakeServer


@pytest.fixture
def outbox_server() -> Iterator[ThreadedFakeServer]:
    """Give a fake Event API on the loopback interface; set its `script` to have it misbehave."""
    from outbox.testing import fake_server

    with fake_server() as server:
        yield server
