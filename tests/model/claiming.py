"""Claim: which rows a worker's transaction locks and takes. Nothing is written before it commits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from model.rows import COMMITTED, EXPIRED, FREE, Reason, Row, Rows, State
from model.scope import Guard, Scope
from model.steps import Step, names
from model.workers import IN_FLIGHT, Hold, Part, Phase, Worker, is_writing

SUSPECT = 2
LOST = 3


def claims(scope: Scope, rows: Rows, worker: Worker, locked: int) -> Iterator[Step]:
    """The claims that a worker can begin: a sweep, a scan from its mark, a suspect."""
    if is_writing(worker) or worker.alone:
        return
    starts = {0} if scope.has(Guard.SWEEP) else {worker.mark}
    if scope.watermark:
        starts.add(worker.mark)
    found = {tuple(_calm(scope, rows, worker, locked, start)) for start in sorted(starts)}
    if not worker.holds:
        found.add(tuple(_suspect(scope, rows, locked)))
    for holds in sorted(found):
        if holds:
            yield _opened(scope, rows, worker, holds)


def _opened(scope: Scope, rows: Rows, worker: Worker, holds: tuple[Hold, ...]) -> Step:
    after = worker._replace(holds=worker.holds + holds)
    if scope.watermark:
        after = after._replace(mark=max(worker.mark, holds[-1].message + 1))
    if any(hold.part == Part.CLAIM and is_suspect(scope, rows[hold.message]) for hold in holds):
        after = after._replace(alone=scope.has(Guard.SUSPECTS_ALONE))
    return Step(f"locks {names(hold.message for hold in holds)} to claim", rows, after)


def _calm(scope: Scope, rows: Rows, worker: Worker, locked: int, start: int) -> Iterator[Hold]:
    """All that is due but suspects. What is doomed is failed in passing."""
    free = free_senders(scope, worker)
    wanted = scope.limit - sum(hold.phase == Phase.QUEUED for hold in worker.holds)
    due = [
        message
        for message in _due(scope, rows, locked, start)
        if not (scope.has(Guard.SUSPECTS_ALONE) and is_suspect(scope, rows[message]))
        and (free > 0 or not _waits_for_sender(scope, message))
    ]
    place = 0
    for message in due[: max(0, wanted)]:
        if doom(scope, message, rows[message]):
            yield Hold(message, part=Part.DOOM)
        elif place < free or not _waits_for_sender(scope, message):
            place += 1
            yield Hold(message, part=Part.CLAIM)


def _suspect(scope: Scope, rows: Rows, locked: int) -> Iterator[Hold]:
    """One message that may kill its worker, for a worker that has nothing else in hand."""
    for message in _due(scope, rows, locked, 0):
        if losses(scope, rows[message]) >= SUSPECT and scope.has(Guard.SUSPECTS_ALONE):
            yield Hold(message, part=Part.DOOM if doom(scope, message, rows[message]) else Part.CLAIM)
            return


def free_senders(scope: Scope, worker: Worker) -> int:
    """Senders that wait for work."""
    busy = sum(hold.phase == Phase.QUEUED or hold.phase in IN_FLIGHT for hold in worker.holds)
    return max(0, scope.senders - busy)


def losses(scope: Scope, row: Row) -> int:
    """Claims lost so far, the one that has just expired included."""
    return row.lost + (row.lease != FREE) if scope.has(Guard.LOST_COUNT) else 0


def is_suspect(scope: Scope, row: Row) -> bool:
    """Whether it may be what kills workers."""
    return SUSPECT <= losses(scope, row) < LOST


def doom(scope: Scope, message: int, row: Row) -> Reason:
    """Why a claim fails a message at once, if it does."""
    if losses(scope, row) >= LOST:
        return Reason.WORKER_LOST
    if scope.messages[message].park and row.lease != FREE and scope.has(Guard.PARK_EXPIRED):
        return Reason.UNKNOWN
    return Reason.NONE


def _waits_for_sender(scope: Scope, message: int) -> bool:
    return scope.messages[message].park and scope.has(Guard.PARK_FREE_SENDER)


def _due(scope: Scope, rows: Rows, locked: int, start: int) -> list[int]:
    """What can be claimed: messages without a key from `start` on, and the heads of all keys."""
    return [
        message
        for message, kind in enumerate(scope.messages)
        if (kind.key or message >= start)
        and is_claimable(scope, rows[message], locked=bool(locked >> message & 1))
        and (not kind.key or not scope.has(Guard.HEAD) or head(scope, rows, kind.key) == message)
    ]


def is_claimable(scope: Scope, row: Row, *, locked: bool) -> bool:
    """Pending, due, not leased, not locked by anybody else."""
    visible = row.state == State.PENDING or (row.state == State.OPEN and not scope.has(Guard.COMMITTED_ROWS))
    return (
        visible
        and (row.due or not scope.has(Guard.DUE))
        and _is_free(scope, row)
        and not row.locked
        and not (locked and scope.has(Guard.ROW_LOCKS))
    )


def _is_free(scope: Scope, row: Row) -> bool:
    if not scope.has(Guard.LEASED_ROWS):
        return True
    return row.lease == FREE or (row.lease == EXPIRED and scope.has(Guard.EXPIRED_ROWS))


def head(scope: Scope, rows: Rows, key: str) -> int | None:
    """The smallest pending message of the key as far as it has committed; None where a failed one blocks the key."""
    for message in _of_key(scope, key):
        row = rows[message]
        if row.state == State.FAILED and scope.block and scope.has(Guard.BLOCK):
            return None
        is_passed = (row.lease > EXPIRED and not scope.has(Guard.HELD_HEAD)) or (
            not row.due and not scope.has(Guard.LATER_HEAD)
        )
        if row.state == State.PENDING and not is_passed:
            return message
    return None


def successor(scope: Scope, rows: Rows, settled: int) -> int | None:
    """Whom the settle of a key's head claims in the same transaction. `rows` are as that settle leaves them."""
    key = scope.messages[settled].key
    if scope.has(Guard.SUCCESSOR):
        return head(scope, rows, key)
    behind = (message for message in _of_key(scope, key) if message > settled)
    return next((message for message in behind if rows[message].state == State.PENDING), None)


def _of_key(scope: Scope, key: str) -> Sequence[int]:
    return [message for message, kind in enumerate(scope.messages) if kind.key == key]


def committed_before(scope: Scope, rows: Rows, message: int) -> list[int]:
    """The messages of the same key that are committed now."""
    key = scope.messages[message].key
    return [each for each in _of_key(scope, key) if key and each < message and rows[each].state in COMMITTED]
