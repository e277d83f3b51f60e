"""Settle and release: what a worker's transaction is going to write, for all that has gathered."""

from __future__ import annotations

from collections.abc import Iterator

from model.claiming import SUSPECT, free_senders, is_claimable, losses, successor
from model.rows import FREE, Reason, Row, Rows, change, delivered, failed, released, rescheduled
from model.scope import Guard, Scope
from model.steps import Step, names
from model.workers import OUTCOMES, Hold, Part, Phase, Token, Worker, is_writing


def settles(scope: Scope, rows: Rows, worker: Worker, locked: int) -> Iterator[Step]:
    """The settle that a worker can begin."""
    if is_writing(worker):
        return
    holds = [hold._replace(part=_part(scope, rows[hold.message], hold, locked)) for hold in worker.holds]
    if any(hold.part for hold in holds):
        after = worker._replace(holds=(*holds, *_successors(scope, rows, worker, holds, locked)))
        group = names(hold.message for hold in holds if hold.part)
        yield Step(f"opens a settle of {group}{_aside(after.holds)}", rows, after)


def _aside(holds: tuple[Hold, ...]) -> str:
    claimed = [hold.message for hold in holds if hold.part == Part.CLAIM]
    return f", and locks {names(claimed)} to claim" if claimed else ""


def _part(scope: Scope, row: Row, hold: Hold, locked: int) -> Part:
    """What becomes of a hold in this settle. After a short row count the rows are read to tell these apart."""
    if hold.phase not in OUTCOMES and hold.phase != Phase.UNSENT:
        return Part.NONE
    is_release = hold.phase == Phase.UNSENT
    is_held = row.lease != FREE
    is_locked = row.locked or bool(locked >> hold.message & 1)
    if _passes_fence(scope, row, hold):
        if not is_locked:
            return Part.WRITE
        if not scope.has(Guard.ROW_COUNT):
            return Part.LANDED
    if is_release:
        return Part.LANDED  # whatever it is, there is nothing to give back
    if hold.token == Token.MINE:
        return Part.NONE if is_held else Part.LANDED  # settled with the next group, or settled before
    return Part.LOST


def _passes_fence(scope: Scope, row: Row, hold: Hold) -> bool:
    """`claim_token = mine AND claimed_until IS NOT NULL`."""
    fence = Guard.RELEASE_FENCE if hold.phase == Phase.UNSENT else Guard.SETTLE_FENCE
    if hold.token != Token.MINE:
        return not scope.has(fence)
    return row.lease != FREE or not scope.has(Guard.SETTLE_ONCE)


def written(row: Row, hold: Hold) -> Row:
    """What a settle makes of a row."""
    if hold.phase == Phase.UNSENT:
        return released(row)
    if hold.phase == Phase.ACCEPTED:
        return delivered(row)
    if hold.phase == Phase.REFUSED:
        return rescheduled(row)
    return failed(row, Reason.REJECTED if hold.phase == Phase.REJECTED else Reason.UNKNOWN)


def _successors(scope: Scope, rows: Rows, worker: Worker, holds: list[Hold], locked: int) -> Iterator[Hold]:
    """Settling a head as delivered or failed claims its successor in the same transaction."""
    written_holds = [hold for hold in holds if hold.part == Part.WRITE]
    for hold in written_holds:
        rows = change(rows, hold.message, written(rows[hold.message], hold))
    ended = [hold.message for hold in written_holds if hold.phase not in (Phase.UNSENT, Phase.REFUSED)]
    found = [successor(scope, rows, message) for message in ended if scope.messages[message].key]
    # Where a late commit has let two of a key into flight, one group may end both: they have one successor.
    for following in dict.fromkeys(found) if scope.has(Guard.ONE_SUCCESSOR) else found:
        if following is not None and _may_follow(scope, rows, worker, following, locked):
            yield Hold(following, part=Part.CLAIM)


def _may_follow(scope: Scope, rows: Rows, worker: Worker, message: int, locked: int) -> bool:
    row = rows[message]
    is_free = is_claimable(scope, row, locked=bool(locked >> message & 1))
    is_for_now = not scope.messages[message].park or free_senders(scope, worker) > 0
    return is_free and is_for_now and row.lease == FREE and losses(scope, row) < SUSPECT
