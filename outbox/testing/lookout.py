"""What the application under test has enqueued, seen from within its own transaction."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, Unpack

from outbox.errors import TargetRefused
from outbox.producer.targets import (
    AsyncTarget,
    Target,
    connection_of,
    is_async_connection,
    is_async_session,
    is_session,
    recognised,
    recognised_async,
)
from outbox.render import safe
from outbox.store.look import Enqueued, enqueued, owner
from outbox.testing.matching import Match, check_fields, described, differences

if TYPE_CHECKING:
    from outbox.store.engine import Connection

__all__ = [
    "Enqueued",
    "all_enqueued",
    "all_enqueued_async",
    "assert_enqueued",
    "assert_enqueued_async",
    "refute_enqueued",
    "refute_enqueued_async",
]

_LOOKED_AT = 100
_SHOWN = 10


def assert_enqueued(target: Target, name: str, **match: Unpack[Match]) -> Enqueued:
    """Require that an event of this name is enqueued, and give its message: the newest that matches.

    `target`: the Session, scoped_session or Connection that the application enqueued on; nothing needs to be committed.
    A message in any state counts. `match` says more of it; see `outbox.testing.matching.Match`.

    Raises `AssertionError` that lists what is enqueued, the nearest first; `TypeError` for a field that no message has.
    """
    __tracebackhide__ = True
    return _assert(_connection(target), name, match)


def refute_enqueued(target: Target, name: str | None = None, **match: Unpack[Match]) -> None:
    """Require that no such event is enqueued; without a name and fields: none at all. Raises `AssertionError`."""
    __tracebackhide__ = True
    _refute(_connection(target), name, match)


def all_enqueued(target: Target, name: str | None = None, **match: Unpack[Match]) -> list[Enqueued]:
    """Every such message, in the order in which they were enqueued."""
    return _all(_connection(target), name, match)


async def assert_enqueued_async(target: AsyncTarget, name: str, **match: Unpack[Match]) -> Enqueued:
    """`assert_enqueued` for an AsyncSession, async_scoped_session or AsyncConnection; what waits for a flush is flushed."""
    __tracebackhide__ = True
    found: Enqueued = await _carrier(target).run_sync(lambda inner: _assert(_flushed(inner), name, match))
    return found


async def refute_enqueued_async(target: AsyncTarget, name: str | None = None, **match: Unpack[Match]) -> None:
    """`refute_enqueued` for what `assert_enqueued_async` takes."""
    __tracebackhide__ = True
    await _carrier(target).run_sync(lambda inner: _refute(_flushed(inner), name, match))


async def all_enqueued_async(target: AsyncTarget, name: str | None = None, **match: Unpack[Match]) -> list[Enqueued]:
    """`all_enqueued` for what `assert_enqueued_async` takes."""
    found: list[Enqueued] = await _carrier(target).run_sync(lambda inner: _all(_flushed(inner), name, match))
    return found


def _assert(connection: Connection, name: str, match: Mapping[str, Any]) -> Enqueued:
    __tracebackhide__ = True
    check_fields(match)
    found = next(_matching(connection, name, match), None)
    if found is None:
        raise AssertionError(_absent(connection, name, match))
    return found


def _refute(connection: Connection, name: str | None, match: Mapping[str, Any]) -> None:
    __tracebackhide__ = True
    found = _all(connection, name, match)
    if found:
        lines = [f"{len(found)} enqueued that should not be:", *(f"  {_named(each)}" for each in found[:_SHOWN])]
        raise AssertionError("\n".join(lines))


def _all(connection: Connection, name: str | None, match: Mapping[str, Any]) -> list[Enqueued]:
    check_fields(match)
    return [*_matching(connection, name, match)][::-1]


def _matching(connection: Connection, name: str | None, match: Mapping[str, Any]) -> Iterator[Enqueued]:
    for each in enqueued(connection, name):
        if not differences(each, match) and _owns(connection, each, match):
            yield each


def _owns(connection: Connection, message: Enqueued, match: Mapping[str, Any]) -> bool:
    return "dedup_key" not in match or owner(connection, message.destination, match["dedup_key"]) == message.id


def _absent(connection: Connection, name: str, match: Mapping[str, Any]) -> str:
    """Say what is enqueued instead: first of that name, then of names like it; of these what differs least."""
    found = [*islice(enqueued(connection), _LOOKED_AT)]
    said = f" with {described(match)}" if match else ""
    first = safe(f"no event {name!r}{said} is enqueued")
    if not found:
        return f"{first}; nothing is"
    compared = sorted(_compared(connection, found, match), key=lambda pair: _distance(pair[0], pair[1], name))
    lines = [safe(f"  {_named(each)}{_why(each, name, wrong)}") for each, wrong in compared[:_SHOWN]]
    more = f"; {_SHOWN} of {len(compared)}" if len(compared) > _SHOWN else ""
    return "\n".join([f"{first}. These are, the nearest first{more}:", *lines])


def _compared(
    connection: Connection, found: list[Enqueued], match: Mapping[str, Any]
) -> Iterator[tuple[Enqueued, list[str]]]:
    for each in found:
        wrong = differences(each, match)
        yield each, wrong if _owns(connection, each, match) else [*wrong, "its dedup_key is another"]


def _distance(message: Enqueued, wrong: list[str], name: str) -> tuple[bool, float, int]:
    likeness = difflib.SequenceMatcher(None, message.name, name).ratio()
    return message.name != name, -likeness, len(wrong)


def _why(message: Enqueued, name: str, wrong: list[str]) -> str:
    return "" if message.name != name or not wrong else f": {'; '.join(wrong)}"


def _named(message: Enqueued) -> str:
    of = "" if message.destination == "overcentric" else f" for {message.destination}"
    return f"{message.name}{of} {message.id} ({message.state})"


def _connection(target: Any) -> Connection:
    """The connection of the test's transaction. Raises `TargetRefused` for what holds none."""
    if is_async_session(target) or is_async_connection(target):
        msg = f"An {type(target).__name__} can only be looked at with await"
        raise TargetRefused(msg, hint="Write: await assert_enqueued_async(session, …)")
    try:
        carrier = recognised(target)
    except TargetRefused as refused:
        raise _refused(refused) from None
    if is_async_session(carrier):
        return _connection(carrier)
    return connection_of(carrier)


def _carrier(target: Any) -> Any:
    try:
        return recognised_async(target)
    except TargetRefused as refused:
        raise _refused(refused) from None


def _refused(refused: TargetRefused) -> TargetRefused:
    """The same with a next step for a test."""
    return TargetRefused(refused.message, hint="Hand in the session or connection that the code under test was given.")


def _flushed(target: Any) -> Connection:
    """The connection, once what was enqueued without await has been written."""
    if is_session(target):
        from outbox.producer.queued import flush

        flush(target)
    return connection_of(target)
