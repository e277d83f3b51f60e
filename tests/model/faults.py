"""What befalls a worker: it dies, it is frozen, it is asked to stop."""

from __future__ import annotations

from collections.abc import Iterator

from model.rows import FREE, Rows, change, doubled
from model.scope import Fault, Scope
from model.steps import Step, names
from model.workers import Part, Phase, Token, Worker


def died(scope: Scope, rows: Rows, worker: Worker) -> Rows:
    """The rows, with what a worker's death may double: what had been processed and was not durably settled."""
    return _doubled(scope, rows, worker, (Phase.ARRIVED, Phase.ACCEPTED))


def outlived(scope: Scope, rows: Rows, worker: Worker) -> Rows:
    """The rows, with what the next tick may double: what a frozen worker has begun, where it ends the lease."""
    if not worker.frozen:
        return rows
    ending = worker._replace(holds=tuple(hold for hold in worker.holds if hold.lease == 1))
    return _doubled(scope, rows, ending, (Phase.SENT, Phase.ARRIVED, Phase.ACCEPTED))


def _doubled(scope: Scope, rows: Rows, worker: Worker, phases: tuple[Phase, ...]) -> Rows:
    for hold in worker.holds:
        row = rows[hold.message]
        is_unsettled = hold.token == Token.MINE and row.lease != FREE
        if is_unsettled and hold.phase in phases and not scope.messages[hold.message].park:
            rows = change(rows, hold.message, doubled(row))
    return rows


def misfortunes(scope: Scope, rows: Rows, worker: Worker) -> Iterator[Step]:
    """Crash, freeze, stop. A worker with nothing in its hands has nothing to lose."""
    if not worker.holds:
        return
    yield Step("is killed; another is started", died(scope, rows, worker), Worker(), fault=Fault.CRASH)
    if worker.frozen:
        return
    yield Step("is frozen", rows, worker._replace(frozen=True), fault=Fault.FREEZE)
    queue = [hold for hold in worker.holds if hold.phase == Phase.QUEUED and hold.part == Part.NONE]
    if queue:
        holds = tuple(hold._replace(phase=Phase.UNSENT) if hold in queue else hold for hold in worker.holds)
        says = f"will give back {names(hold.message for hold in queue)}"
        yield Step(says, rows, worker._replace(holds=holds), fault=Fault.STOP)
