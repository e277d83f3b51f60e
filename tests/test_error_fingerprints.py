"""Errors that differ in nothing but ids, numbers, addresses and times are one."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from uuid import uuid4

import pytest

from outbox.producer.ids import uuid7
from outbox.store.look import fingerprint
from outbox.store.look.fingerprint import LONGEST


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("", ""),
        ("connection closed before the answer", "connection closed before the answer"),
        ("HTTP 400 Bad Request", "HTTP 400 Bad Request"),
        ("HTTP 503", "HTTP 503"),
        (
            "HTTP 301 Moved Permanently: redirects are not followed",
            "HTTP 301 Moved Permanently: redirects are not followed",
        ),
        ("HTTP/1.1 went wrong", "HTTP/1.1 went wrong"),
        ("HTTP 5030 is no status", "HTTP # is no status"),
        ("no answer within 10s", "no answer within #"),
        ("no answer within 500ms", "no answer within #"),
        ("cut after 10 s", "cut after # s"),
        ("1,234.56 of 7", "# of #"),
        ("order 01a207db-2cfd-7dbf-ac5d-6aab7ff1e0a7 is gone", "order # is gone"),
        ("order {01A207DB-2CFD-7DBF-AC5D-6AAB7FF1E0A7} is gone", "order {#} is gone"),
        ("commit deadbeef and beadfeed", "commit # and #"),
        ("trace 4bf92f3577b34da6a3ce929d0e0e4736", "trace #"),
        ("at 0x7fff5c3a", "at #"),
        ("ord_deadbeef12 is gone", "ord_# is gone"),
        ("a facade of decades", "a facade of decades"),
        ("connection refused by 127.0.0.1:8025", "connection refused by #"),
        ("connection refused by [2001:db8::1]:443", "connection refused by [#]:#"),
        ("connection refused by [::1]:443", "connection refused by [#]:#"),
        ("hyper::Error in face::lift", "hyper::Error in face::lift"),
        ("since 2026-11-23T10:02:14.685Z", "since #"),
        ("since 2026-11-23 10:02:14", "since # #"),
        ("no user 'u-17' here", "no user # here"),
        ('no user "u-17" here', "no user # here"),
        ("no user `8fk2` here", "no user # here"),
        ("the field 'name' is missing", "the field 'name' is missing"),
        ("can't reach 10.0.0.1, won't retry", "can't reach #, won't retry"),
        ("'Order 17 is gone'", "'Order # is gone'"),
        ("order-17 of user18", "order-# of user#"),
        ("ord_8f3kd2 and evt_1NG8Du2eZvKYlo2C", "ord_# and #"),
        ("key V1StGXR8_Z5jdHi6B-myT", "key #"),
        ("ULID 01ARZ3NDEKTSV4RRFFQ69G5FAV", "ULID #"),
        ("no mail for anna.b+shop@mail.example.org", "no mail for #"),
        ("/api/v1/orders/17/items/3", "/api/v#/orders/#/items/#"),
        ('{"id": 17, "ids": [1, 2]}', '{"id": #, "ids": [#, #]}'),
        ("статус ٣٤ и 12", "статус # и #"),
        ("\x1b[31m17", "\x1b[#"),
    ],
)
def test_what_differs_from_message_to_message_is_left_out(error: str, expected: str) -> None:
    """Statuses and words stay, what identifies one message or one moment does not."""
    assert fingerprint(error) == expected


def test_ten_thousand_ids_are_one_line() -> None:
    """However an id is written: as a number, a UUID, hex of any usual length, base64, quoted or not."""
    kinds: list[Callable[[int], str]] = [
        str,
        lambda number: f"order-{number}",
        lambda _: str(uuid4()),
        lambda _: str(uuid7()),
        lambda _: uuid4().hex.upper(),
        lambda _: secrets.token_hex(4),
        lambda _: secrets.token_hex(20),
        lambda number: f"'{number:x}0'",
        lambda number: f"10.{number % 256}.{number // 256}.7:{number}",
    ]
    for kind in kinds:
        assert len({fingerprint(f"HTTP 409 Conflict: {kind(number)} is there") for number in range(10_000)}) == 1


def test_a_fingerprint_is_its_own() -> None:
    """What was left out once is not left out again."""
    for error in ("order-17 of user18 at 10.0.0.1:80", "x" * 1000, "'a1' \"b2\" 10:02:14"):
        assert fingerprint(fingerprint(error)) == fingerprint(error)


def test_long_errors_that_were_cut_at_different_places_are_one() -> None:
    """What an id takes away at the end of a text makes no other cause of it."""
    texts = {f"order {'9' * length} is gone: {'and so on, ' * 60}"[:500] for length in range(1, 30)}
    assert len(texts) > 1
    assert {len(fingerprint(text)) for text in texts} == {LONGEST}
    assert len({fingerprint(text) for text in texts}) == 1


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "1",
        "a1",
        "1a",
        "'",
        "'1",
        "'a1",
        '"',
        "a@",
        "a@b.",
        "a@b@",
        ".",
        ":",
        "1:",
        "a:",
        "f",
        "f-",
        "-",
        "_",
        "aA1-",
        "HTTP ",
        "#",
        "0x",
        "é1",
    ],
)
def test_the_time_is_linear(piece: str) -> None:
    """A text that was made to be slow is not: one of a megabyte takes no more than seconds, each piece the same."""
    text = piece * (1_000_000 // len(piece))
    began = time.process_time()
    fingerprint(text)
    assert time.process_time() - began < 10
