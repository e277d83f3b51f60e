"""What must hold in every state, and at the end."""

from __future__ import annotations

from model.rows import FREE, Reason, Row, Rows, State
from model.scope import Kind, Scope
from model.steps import names
from model.workers import IN_FLIGHT, Hold, Part, Token, Worker


def wrong_rows(scope: Scope, rows: Rows) -> str:
    """Which promise the rows break; nothing if they keep all."""
    for message, row in enumerate(rows):
        said = _wrong_row(row) or _wrong_failure(scope, scope.messages[message], row) or _wrong_order(scope, rows, row)
        if said:
            return f"{names([message])} {said}"
    return ""


def _wrong_row(row: Row) -> str:
    wrongs = (
        (row.received and row.state == State.ROLLED_BACK, "was rolled back and received"),
        (row.state == State.DELIVERED and not row.received, "is delivered, and the destination never had it"),
        (row.end not in (State.PENDING, row.state), "was settled, and has been written over"),
        (row.spare < 0, "is received once more, without any of the causes of a duplicate"),
        (row.owed < 0, "is charged for what no answer said"),
        (row.misreported, "is said to be lost, and its settle had landed"),
    )
    return next((said for is_wrong, said in wrongs if is_wrong), "")


def _wrong_failure(scope: Scope, kind: Kind, row: Row) -> str:
    """Deaths charge nobody: the poison is failed by its third, and its neighbours are not."""
    if row.reason == Reason.UNKNOWN and row.waited:
        return "is parked, and has only waited behind one that killed its worker"
    if row.reason != Reason.WORKER_LOST:
        return ""
    expiries = scope.claims_can_expire()
    if kind.poison:
        is_third = row.deaths == 3 or (row.deaths < 3 and expiries > 0)
        return "" if is_third else "is given up as lost, though not by the third worker's death"
    mates = any(each.poison for each in scope.messages)
    return "is given up as lost, though innocent" if expiries < (1 if mates else 3) else ""


def _wrong_order(scope: Scope, rows: Rows, row: Row) -> str:
    """What was committed before another of its key was enqueued is received first."""
    for message in _promised(rows, row):
        earlier = rows[message]
        if row.received and not earlier.received and not _is_passed(scope, earlier):
            return f"is received before {names([message])}, which was committed before it was enqueued"
    return ""


def _promised(rows: Rows, row: Row) -> list[int]:
    return [message for message in range(len(rows)) if row.before >> message & 1]


def _is_passed(scope: Scope, row: Row) -> bool:
    """Whether the key may go on past it: it has failed, even if an operator sends it again."""
    return row.has_failed and not scope.block


def wrong_worker(scope: Scope, rows: Rows, worker: Worker) -> str:
    """Which promise a worker breaks by what it has in hand; nothing if it keeps all."""
    if sum(hold.part == Part.CLAIM for hold in worker.holds) > scope.limit:
        return "more is claimed than was asked for"
    for hold in worker.holds:
        if hold.phase in IN_FLIGHT:
            said = _wrong_flight(scope, rows, hold.message) or _too_early(rows[hold.message], hold)
            if said:
                return f"{names([hold.message])} {said}"
    return ""


def _too_early(row: Row, hold: Hold) -> str:
    is_claimed = hold.token == Token.MINE and row.lease != FREE
    return "is sent before it is due" if is_claimed and not row.due else ""


def _wrong_flight(scope: Scope, rows: Rows, message: int) -> str:
    for each in _promised(rows, rows[message]):
        if rows[each].state != State.DELIVERED and not _is_passed(scope, rows[each]):
            return f"is sent while {names([each])}, which was committed before it was enqueued, is not settled"
    return ""


def wrong_end(scope: Scope, rows: Rows) -> str:
    """Who is still waiting where nothing more will happen, and should not be."""
    for message, row in enumerate(rows):
        is_waiting = row.state in (State.ABSENT, State.OPEN, State.PENDING)
        if is_waiting and not _is_blocked(scope, rows, message):
            return f"{names([message])} waits for ever"
    return ""


def _is_blocked(scope: Scope, rows: Rows, message: int) -> bool:
    key = scope.messages[message].key
    return scope.block and any(
        kind.key == key and row.state == State.FAILED
        for kind, row in list(zip(scope.messages, rows, strict=True))[:message]
    )
