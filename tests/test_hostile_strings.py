"""Whatever a destination answers: it is recorded, alike on each database, and no output obeys it.

Some hundreds of strings in a test run; FUZZ_ANSWERS of them, if it is set.
"""

from __future__ import annotations

import json
import random
import re
from contextlib import closing
from uuid import UUID

import pytest
from sqlalchemy import insert, select

from outbox.clock import lease_clock
from outbox.message import Attempt, Certainty, Failed, FailureReason
from outbox.policy.records import ERROR_BYTES, RESPONSE_BYTES, clean
from outbox.producer.ids import uuid7s
from outbox.schema import attempt, message
from outbox.store import Choice, Store
from support.commands import Console
from support.databases import Database
from support.fuzzing import FUZZ_ANSWERS

AT_ONCE = 200
SHORT = 600
MEGABYTE = 2**20

_PARTS = (
    "\0", "\x1b[2J", "\x1b]0;owned\x07", "\x1b]8;;http://evil\x07", "\x9b31m", "\r\n", "\t", "\x7f", "\x08", "\ud800",
    "\udfff\ud800", "\u202e", "\u2066", "\u200b", "\ufeff", "\u0301" * 40, "💥", "é", "漢", "\U0010ffff", "'; DROP TABLE outbox_message; --",
    '"', "\\", "\\u0000", "%s%n", "{0}", ":id", "$1", "?", "=cmd|' /C calc'!A0", "<script>", "<6>", "a", " ", "x" * 300,
)  # fmt: skip
_UNFIT_FOR_A_SCREEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u200b\ufeff\ud800-\udfff]")


def hostile(chance: random.Random) -> str:
    """A string that some program has stumbled over; one of 300 is a megabyte long."""
    text = "".join(chance.choices(_PARTS, k=chance.randint(0, 12)))
    return (text or "\x1b") * (MEGABYTE // max(1, len(text))) if chance.random() < 1 / 300 else text


def refuse(database: Database, texts: list[str]) -> list[UUID]:
    """Have so many messages failed, with these words as error and answer; give their ids."""
    ids = uuid7s(len(texts))
    rows = [{"id": each, "destination": "overcentric", "name": "thing_done", "body": "{}"} for each in ids]
    with database.engine.begin() as connection:
        connection.execute(insert(message), rows)
    said = {str(each): text for each, text in zip(ids, texts, strict=True)}
    with closing(Store(database.engine)) as store:
        held = store.claim("overcentric", Choice.ANY, limit=len(ids), free=len(ids), lease=60.0).messages
        assert len(held) == len(ids)
        result = store.settle([(each, Failed(FailureReason.REJECTED, an_attempt(said[each.id]))) for each in held], ())
    assert result.lost == []
    assert result.locked == []
    return ids


def an_attempt(text: str) -> Attempt:
    """What delivery makes of a refusal in these words."""
    error, response = clean(text, ERROR_BYTES), clean(text.encode("utf-8", "surrogatepass"), RESPONSE_BYTES)
    return Attempt(lease_clock(), 0.1, 1, Certainty.REJECTED, error, 400, response)


@pytest.mark.timeout(3600)
def test_it_is_recorded_as_it_is_on_each_database(database: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """Each settle is taken, each text comes back as it was cleaned, and the commands show none of it raw."""
    chance = random.Random(7)  # noqa: S311 - repeatable
    outbox = Console(capsys, database)
    for _ in range((FUZZ_ANSWERS or SHORT) // AT_ONCE):
        texts = [hostile(chance) for _ in range(AT_ONCE)]
        ids = refuse(database, texts)
        wanted = {each: an_attempt(text) for each, text in zip(ids, texts, strict=True)}
        query = select(message.c.id, message.c.last_error, attempt.c.error, attempt.c.response).join(
            attempt, attempt.c.message_id == message.c.id
        )
        with database.engine.connect() as connection:
            found = {row.id: row for row in connection.execute(query.where(message.c.id.in_(ids)))}
        for each, made in wanted.items():
            row = found[each]
            assert (row.last_error, row.error, row.response or "") == (made.error, made.error, made.response or "")
    for command in (
        ["failed", "--limit", "0"],
        ["failed", "--by", "error"],
        ["status"],
        ["show", str(ids[0])],
        ["failed", "--csv"],
    ):
        done = outbox(*command)
        assert done.code == 0, done.err
        assert _UNFIT_FOR_A_SCREEN.search(done.out.replace("\r\n", "\n")) is None, command
    assert len(json.loads(outbox("failed", "--json", "--limit", "0").out)) >= SHORT
