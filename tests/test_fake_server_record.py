from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path

import pytest

from outbox.errors import OutboxError
from outbox.testing import FakeServer, fake_server, read_record
from support.raw_http import MINIMAL, client, command, post, send
from support.waiting import eventually


def test_memory_can_be_bounded() -> None:
    """`keep=2` holds the last two records, and every count."""
    with fake_server(keep=2) as server:
        for key in "abcb":
            post(server.url, key=key)
        assert [(one.seq, one.key) for one in server.received] == [(3, "c"), (4, "b")]
        assert server.count == 4
        assert server.keys == {"a": 1, "b": 2, "c": 1}


def test_counts_alone_can_be_kept() -> None:
    """`keep=0` holds no bodies; duplicates and changed bytes are still found."""
    with fake_server(keep=0) as server:
        post(server.url, key="a")
        post(server.url, key="a")
        post(server.url, MINIMAL + b" ", key="b")
        assert server.changed == frozenset()
        post(server.url, MINIMAL, key="b")
        assert server.received == ()
        assert server.accepted == {"a": 2, "b": 2}
        assert server.changed == {"b"}


def test_times_and_numbers_follow_the_order_of_arrival() -> None:
    """Sequence numbers begin at 1; both clocks are the machine's."""
    before, began = time.time(), time.monotonic()
    with fake_server() as server:
        for _ in range(3):
            post(server.url)
        received = server.received
    assert [one.seq for one in received] == [1, 2, 3]
    assert before <= received[0].at <= received[-1].at <= time.time()
    assert began <= received[0].monotonic <= received[-1].monotonic <= time.monotonic()


def test_the_record_reads_back_as_what_was_received(tmp_path: Path) -> None:
    """Each line of the file is the record, byte for byte, also where the body is not text."""
    path = tmp_path / "record.jsonl"
    with fake_server("per-key: 503 x1, ok", record=path) as server:
        post(server.url, key="a")
        post(server.url, key="a", X_Strange="\xff")
        post(server.url, b"\xff\x00 not text")
        post(server.url, b'{"event": {"name": "\\ud800"}}')
        post(server.url, b'{"event": {"name": "\\ud800"}}')
        assert list(read_record(path)) == list(server.received)
    lines = path.read_bytes().splitlines()
    assert [json.loads(line)["answer"] for line in lines] == ["503", "200", "503", "400", "400"]
    assert json.loads(lines[0])["body"] == MINIMAL.decode()


def test_a_record_is_appended_to(tmp_path: Path) -> None:
    """A second server adds to the file of the first, behind a line that the disk had no room for."""
    path = tmp_path / "record.jsonl"
    for key in "ab":
        with fake_server(record=path) as server:
            post(server.url, key=key)
        with path.open("ab") as file:
            file.write(b'{"seq": 7, "torn')
    assert [one.key for one in read_record(path)] == ["a", "b"]


def test_what_cannot_be_recorded_is_not_answered() -> None:
    """A full disk ends the connection without an answer, and the waiting test learns why."""

    async def story() -> None:
        async with FakeServer(record="/dev/full") as server:
            with pytest.raises(OSError, match=r".") as caught:
                await asyncio.to_thread(post, server.url)
            assert isinstance(caught.value, ConnectionError)
            assert server.count == 0
            assert server.failure is not None
            with pytest.raises(OutboxError, match="the record /dev/full cannot be written: No space left on device"):
                await server.wait_for(1)

    asyncio.run(story())


def test_a_record_that_cannot_be_opened_is_one_clear_error(tmp_path: Path) -> None:
    """The folder does not exist."""
    with (
        pytest.raises(OutboxError, match=r"record\.jsonl cannot be written: No such file"),
        fake_server(record=tmp_path / "none" / "record.jsonl"),
    ):
        pass


def test_a_killed_server_has_recorded_all_that_it_answered(tmp_path: Path) -> None:
    """SIGKILL in the middle of traffic: every answered POST stands in the file."""
    path = tmp_path / "record.jsonl"
    answered: list[str] = []

    def load(url: str, sender: int) -> None:
        with client(url) as connection:
            for number in range(1_000_000):
                key = f"{sender}-{number}"
                try:
                    send(connection, url, key=key)
                except (OSError, EOFError):
                    return
                answered.append(key)

    with command("--record", str(path), "--quiet") as (process, url):
        threads = [threading.Thread(target=load, args=(url, sender)) for sender in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(answered) > 500)
        process.kill()
        for thread in threads:
            thread.join()
    recorded = [one.key for one in read_record(path)]
    assert set(answered) <= set(recorded)
    assert len(recorded) <= len(answered) + 4
