"""Message ids: UUID version 7 that sort by time, from every thread and every forked child."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest

from outbox.producer.ids import uuid7, uuid7s


def test_an_id_is_a_version_7_of_now() -> None:
    """Its first 48 bits are the milliseconds since 1970 (RFC 9562 §5.7)."""
    before = time.time_ns() // 1_000_000
    made = uuid7()
    assert (made.version, made.variant) == (7, RFC_4122)
    assert before <= made.int >> 80 <= time.time_ns() // 1_000_000
    assert UUID(str(made)) == made
    assert hash(UUID(bytes=made.bytes)) == hash(made)
    assert made.is_safe is UUID(str(made)).is_safe


def test_the_millisecond_s_fraction_fills_the_next_twelve_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 9562 §6.2, method 3: the last nanosecond of a millisecond is 4095 of 4096."""
    monkeypatch.setattr("outbox.producer.ids.time_ns", lambda: 1_700_000_000_123_999_999)
    assert f"{uuid7()}".startswith("018bcfe5-687b-7fff-")
    monkeypatch.setattr("outbox.producer.ids.time_ns", lambda: 1_700_000_000_123_500_000)
    assert f"{uuid7()}".startswith("018bcfe5-687b-7800-")


def test_a_list_of_ids_ascends_on_a_stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """However coarse the clock, the events of one call keep their order."""
    monkeypatch.setattr("outbox.producer.ids.time_ns", lambda: 1_700_000_000_123_000_000)
    made = uuid7s(1000)
    assert made == sorted(set(made))
    assert len(made) == 1000


def test_threads_make_no_id_twice() -> None:
    """Four threads, 40,000 ids."""
    with ThreadPoolExecutor(4) as pool:
        made = [each for ids in pool.map(lambda _: uuid7s(10_000), range(4)) for each in ids]
    assert len(set(made)) == 40_000


def test_forked_children_share_no_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parent and child make different ids even in the same instant: there is no state to copy."""
    monkeypatch.setattr("outbox.producer.ids.time_ns", lambda: 1_700_000_000_123_000_000)
    uuid7()
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, uuid7().bytes)
        os._exit(0)
    mine = uuid7()
    assert os.waitpid(child, 0)[1] == 0
    theirs = UUID(bytes=os.read(reader, 16))
    os.close(reader)
    os.close(writer)
    assert mine != theirs
