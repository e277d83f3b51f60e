"""Send: a sender begins a POST, the destination processes it, an answer comes."""

from __future__ import annotations

from collections.abc import Iterator

from model.faults import died
from model.rows import LEASE, Rows, change, doubled, received
from model.scope import Fault, Guard, Scope
from model.steps import Step, names
from model.workers import IN_FLIGHT, Hold, Part, Phase, Worker, with_hold, with_holds


def arrivals(rows: Rows, worker: Worker) -> Iterator[Step]:
    """What is on its way arrives, whatever has become of the worker that sent it."""
    for place, hold in enumerate(worker.holds):
        if hold.phase == Phase.SENT:
            after = with_hold(worker, place, hold._replace(phase=Phase.ARRIVED))
            arrived = change(rows, hold.message, received(rows[hold.message]))
            yield Step(f"the destination processes {names([hold.message])}", arrived, after)


def answers(scope: Scope, rows: Rows, worker: Worker) -> Iterator[Step]:
    """The POST ends, well or otherwise."""
    for place, hold in enumerate(worker.holds):
        if hold.phase == Phase.ARRIVED:
            yield _ended(rows, worker, place, Phase.ACCEPTED)
            yield _doubted(scope, rows, worker, place)
        elif hold.phase == Phase.SENT:
            yield _ended(rows, worker, place, Phase.REFUSED, Fault.REFUSAL)
            yield _ended(rows, worker, place, Phase.REJECTED, Fault.REJECTION)
            if scope.messages[hold.message].park:
                yield _doubted(scope, rows, worker, place)


def _doubted(scope: Scope, rows: Rows, worker: Worker, place: int) -> Step:
    """No answer. The worker cannot tell whether the destination has processed it; where it has, it may be doubled."""
    hold = worker.holds[place]
    if scope.messages[hold.message].park:
        return _ended(rows, worker, place, Phase.DOUBTED, Fault.DOUBT)
    after = change(rows, hold.message, doubled(rows[hold.message]))
    return _ended(after, worker, place, Phase.REFUSED, Fault.DOUBT)


def _ended(rows: Rows, worker: Worker, place: int, phase: Phase, fault: Fault | None = None) -> Step:
    hold = worker.holds[place]
    if phase == Phase.REFUSED:
        row = rows[hold.message]
        rows = change(rows, hold.message, row._replace(owed=row.owed + 1))
    says = f"is told of {names([hold.message])}: {phase.name.lower()}"
    return Step(says, rows, with_hold(worker, place, hold._replace(phase=phase)), fault=fault)


def begins(scope: Scope, rows: Rows, worker: Worker) -> Iterator[Step]:
    """A free sender takes the first message of the queue; what is too late to send is to be given back."""
    queue = [place for place, hold in enumerate(worker.holds) if _may_begin(scope, hold)]
    if not queue or sum(hold.phase in IN_FLIGHT for hold in worker.holds) >= scope.senders:
        return
    place = queue[0]
    hold = worker.holds[place]
    if hold.lease < LEASE and scope.has(Guard.LEASE_MARGIN):
        yield _too_late(scope, rows, worker, place)
    elif scope.messages[hold.message].poison:
        after = died(scope, _killed(scope, rows, worker, hold), worker)
        yield Step(f"begins {names([hold.message])}, which kills it; another is started", after, Worker())
    else:
        sent = with_hold(worker, place, hold._replace(phase=Phase.SENT))
        yield Step(f"begins {names([hold.message])}", rows, sent)


def _killed(scope: Scope, rows: Rows, worker: Worker, poison: Hold) -> Rows:
    """The rows, with notes of what has killed the worker, and of what stood behind it."""
    row = rows[poison.message]
    rows = change(rows, poison.message, row._replace(deaths=min(row.deaths + 1, 4)))
    for hold in worker.holds:
        if hold.phase == Phase.QUEUED and scope.messages[hold.message].park:
            rows = change(rows, hold.message, rows[hold.message]._replace(waited=True))
    return rows


def _may_begin(scope: Scope, hold: Hold) -> bool:
    is_committed = hold.part == Part.NONE or not scope.has(Guard.COMMIT_FIRST)
    return hold.phase == Phase.QUEUED and is_committed and hold.part != Part.DOOM


def _too_late(scope: Scope, rows: Rows, worker: Worker, place: int) -> Step:
    hold = worker.holds[place]
    if not scope.has(Guard.RELEASE):
        others = (each for each in worker.holds if each is not hold)
        return Step(f"drops {names([hold.message])}, too late to send", rows, with_holds(worker, others))
    phase = Phase.UNSENT if scope.has(Guard.UNCHARGED) else Phase.REFUSED
    after = with_hold(worker, place, hold._replace(phase=phase))
    return Step(f"finds {names([hold.message])} too late to send", rows, after)
