"""The end of a worker's transaction: COMMIT, a COMMIT whose answer is lost, or a rollback."""

from __future__ import annotations

from collections.abc import Iterator

from model.claiming import doom
from model.rows import Row, Rows, change, claimed, failed
from model.scope import Fault, Guard, Scope
from model.settling import written
from model.steps import Step
from model.workers import CLAIMING, Hold, Part, Phase, Token, Worker, bits, is_writing, with_holds, without_tokens


def commits(scope: Scope, rows: Rows, worker: Worker) -> Iterator[Step]:
    """The ends that a worker's open transaction can come to, but for a rollback with the whole database."""
    if not is_writing(worker):
        return
    after = rows
    for hold in worker.holds:
        after = change(after, hold.message, _written(scope, after[hold.message], hold))
    taken = bits({hold.message for hold in worker.holds if _takes_token(hold)})
    # An older hold of the same worker on a row that it claims anew loses its token like anybody else's.
    mine = without_tokens(worker, bits({hold.message for hold in worker.holds if hold.part in CLAIMING}))
    done = (hold._replace(part=Part.NONE) for hold in mine.holds if hold.part in (Part.NONE, Part.CLAIM))
    yield Step("commits", after, with_holds(mine, done), taken)
    told = (_misled(scope, hold) for hold in mine.holds if hold.part not in CLAIMING)
    yield Step("commits, and is told that it failed", after, with_holds(mine, told), taken, Fault.AMBIGUOUS)


def _written(scope: Scope, row: Row, hold: Hold) -> Row:
    if hold.part in CLAIMING:
        reason = doom(scope, hold.message, row) if hold.part == Part.DOOM else None
        mine = claimed(row, hold.lease, counts=scope.has(Guard.LOST_COUNT))
        return failed(mine, reason) if reason else mine
    if hold.part == Part.WRITE:
        return written(row, hold)
    if hold.part == Part.LOST and hold.token == Token.CLEARED:
        return row._replace(misreported=True)
    return row


def _takes_token(hold: Hold) -> bool:
    """A claim puts its own in the place of another's, a release leaves none."""
    return hold.part in CLAIMING or (hold.part == Part.WRITE and hold.phase == Phase.UNSENT)


def _misled(scope: Scope, hold: Hold) -> Hold:
    """A hold whose write has landed, and that is going to be written again."""
    is_cleared = hold.phase == Phase.UNSENT or not scope.has(Guard.TOKEN_STAYS)
    if hold.part == Part.WRITE and hold.token == Token.MINE and is_cleared:
        return hold._replace(part=Part.NONE, token=Token.CLEARED)
    return hold._replace(part=Part.NONE)
