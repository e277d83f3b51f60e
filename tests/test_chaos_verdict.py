"""The judge of `make chaos` finds what is forged: a check that cannot fail is worth nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaos.destination import Reception
from chaos.evidence import Evidence, Row
from chaos.faults import Fault
from chaos.history import history
from chaos.ledger import Enqueued, Trouble
from chaos.plan import Kind
from chaos.verdict import ENOUGH_FOR_AN_AVERAGE, judge


def enqueued(name: str, at: float, **changes: Any) -> Enqueued:
    """One event of producer 0, committed half a second after it was enqueued."""
    return Enqueued(name, f"0-{name}-1", at, at + 0.5, committed=True, how="commit", producer=0)._replace(**changes)


def received(name: str, at: float, **changes: Any) -> Reception:
    """One POST of it by worker 0, accepted."""
    return Reception(at, name, f"bytes of {name}", f"0-{name}-1", 0, "200")._replace(**changes)


def fault(kind: Kind, at: float, worker: int = 0) -> Fault:
    """A fault of half a second."""
    return Fault(kind, at, at + 0.5, frozenset([worker]), frozenset(), "forged")


TRUE = Evidence(
    enqueued=[
        enqueued("first", 1.0, ordering_key="k"),
        enqueued("second", 2.0, ordering_key="k"),
        enqueued("undone", 3.0, committed=False, how="rollback"),
        enqueued("parked", 4.0, park=True),
        enqueued("refused", 5.0),
        enqueued("killed", 6.0),
        enqueued("tried", 7.0),
    ],
    receptions=[
        received("first", 1.6),
        received("second", 2.6),
        received("parked", 4.6, answer="500"),
        received("refused", 5.6, answer="422"),
        received("killed", 6.6),
        received("tried", 7.6, answer="503"),
        received("tried", 7.9),
        received("killed", 9.0, worker=1),
    ],
    rows={
        "first": Row("delivered"),
        "second": Row("delivered"),
        "parked": Row("failed", "unknown"),
        "refused": Row("failed", "rejected"),
        "killed": Row("delivered"),
        "tried": Row("delivered"),
    },
    faults=[fault(Kind.KILL, 6.8)],
)


def changed(name: str, **changes: Any) -> Evidence:
    """The true history with one producer's entry changed."""
    return replace(TRUE, enqueued=[each._replace(**changes) if each.id == name else each for each in TRUE.enqueued])


def with_received(*more: Reception) -> Evidence:
    """The true history and more POSTs."""
    return replace(TRUE, receptions=[*TRUE.receptions, *more])


def without_received(name: str) -> Evidence:
    """The true history, and one message never arrived."""
    return replace(TRUE, receptions=[each for each in TRUE.receptions if each.key != name])


def with_row(name: str, row: Row | None) -> Evidence:
    """The true history with another row for a message, or none."""
    rows = {**TRUE.rows} | ({name: row} if row else {})
    return replace(TRUE, rows={key: value for key, value in rows.items() if row or key != name})


FORGED = {
    "no row for a committed event": (with_row("first", None), "lost"),
    "marked delivered, never received": (without_received("first"), "lost"),
    "marked delivered, never accepted": (with_row("parked", Row("delivered")), "lost"),
    "pending for ever": (with_row("first", Row("pending")), "still pending"),
    "failed without a reason": (with_row("first", Row("failed")), "failed without a reason"),
    "received after a rollback": (with_received(received("undone", 9.1)), "sent after rollback"),
    "a row after a rollback": (with_row("undone", Row("pending")), "there after rollback"),
    "received, never enqueued": (with_received(received("stranger", 9.1)), "never enqueued"),
    "a row that nobody enqueued": (with_row("stranger", Row("delivered")), "never enqueued"),
    "other bytes the second time": (with_received(received("tried", 8.0, digest="other", answer="503")), "other bytes"),
    "another message's event": (changed("first", marker="0-other-1"), "other bytes"),
    "the same bytes under two keys": (
        with_received(received("second", 2.7, digest="bytes of first", marker="0-second-1")),
        "other key",
    ),
    "received twice, and nothing had happened": (with_received(received("first", 9.1)), "duplicate without a cause"),
    "received twice, and another worker was killed": (
        replace(TRUE, faults=[fault(Kind.KILL, 6.8, worker=1)]),
        "duplicate without a cause",
    ),
    "received twice, and its worker was killed later": (
        replace(TRUE, faults=[fault(Kind.KILL, 9.5)]),
        "duplicate without a cause",
    ),
    "received twice, and its worker was only deployed": (
        replace(TRUE, faults=[fault(Kind.DEPLOY, 6.8)]),
        "duplicate without a cause",
    ),
    "received again from a worker that had been frozen for a second and thawed long before": (
        replace(with_received(received("first", 9.0, worker=2)), faults=[*TRUE.faults, fault(Kind.FREEZE, 1.5, 2)]),
        "duplicate without a cause",
    ),
    "received again from a worker that was frozen only after another had sent it": (
        replace(with_received(received("first", 2.2, worker=2)), faults=[*TRUE.faults, fault(Kind.FREEZE, 1.7, 2)]),
        "duplicate without a cause",
    ),
    "parked in doubt, and sent again": (
        with_received(received("parked", 9.1, answer="500")),
        "parked in doubt, and sent again",
    ),
    "the second before the first": (
        replace(TRUE, receptions=[TRUE.receptions[1], TRUE.receptions[0], *TRUE.receptions[2:]]),
        "out of order",
    ),
    "the second while the first waited to be tried again": (
        replace(TRUE, receptions=[received("first", 1.5, answer="503"), TRUE.receptions[1], *TRUE.receptions]),
        "out of order",
    ),
    "the second, and never the first": (without_received("first"), "out of order"),
    "out of order within a transaction": (
        replace(
            TRUE,
            enqueued=[
                enqueued("later", 1.0, ordering_key="x", marker="0-9-1"),
                enqueued("sooner", 1.1, ordering_key="x", marker="0-9-2"),
            ],
            receptions=[received("sooner", 2.0, marker="0-9-2"), received("later", 2.1, marker="0-9-1")],
            rows={"later": Row("delivered"), "sooner": Row("delivered")},
        ),
        "out of order",
    ),
    "rejected by nobody": (with_row("first", Row("failed", "rejected")), "failed as rejected"),
    "parked without being asked": (with_row("first", Row("failed", "unknown")), "failed as unknown"),
    "refused, and marked delivered": (with_row("refused", Row("delivered")), "marked delivered"),
    "a worker that ended by itself": (replace(TRUE, accidents=["worker 3 ended with 1"]), "ended as it should not"),
}


def test_a_true_history_is_accepted() -> None:
    """Kills, retries, refusals, parked messages and rollbacks that happened as they should are no violation."""
    verdict = judge(TRUE)
    assert verdict.violations == []
    assert verdict.duplicates == {Kind.KILL: 1}
    assert verdict.worst == {Kind.KILL: 1}
    assert verdict.resent == 1


def test_frozen_in_the_middle_of_its_post() -> None:
    """What a worker sends as it thaws, and another has sent meanwhile, was in its hands when its lease ended."""
    thawed = replace(with_received(received("first", 2.1, worker=2)), faults=[*TRUE.faults, fault(Kind.FREEZE, 1.5, 2)])
    verdict = judge(thawed)
    assert verdict.violations == []
    assert verdict.duplicates == {Kind.KILL: 1, Kind.FREEZE: 1}


@pytest.mark.parametrize("name", FORGED)
def test_a_forged_history_is_found(name: str) -> None:
    """Each way to break the promise is found, by its name."""
    evidence, what = FORGED[name]
    assert what in {each.what for each in judge(evidence).violations}


@pytest.mark.parametrize(("faults", "duplicates"), [(1, 32), (ENOUGH_FOR_AN_AVERAGE, 3)])
def test_too_many_duplicates(faults: int, duplicates: int) -> None:
    """One kill makes fewer than four times what is in flight; many make no more than two on average."""
    evidence = Evidence(enqueued=[], receptions=[], rows={}, concurrency=8)
    for kill in range(faults):
        names = [f"{kill}-{number}" for number in range(duplicates)]
        evidence = replace(
            evidence,
            enqueued=[*evidence.enqueued, *(enqueued(each, 0.0) for each in names)],
            receptions=[
                *evidence.receptions,
                *(received(each, 1.0, worker=kill) for each in names),
                *(received(each, 4.0, worker=-1) for each in names),
            ],
            rows={**evidence.rows} | {each: Row("delivered") for each in names},
            faults=[*evidence.faults, fault(Kind.KILL, 1.1, worker=kill)],
        )
    assert [each.what for each in judge(evidence).violations] == ["too many duplicates"]


def test_a_slow_machine_is_no_violation() -> None:
    """Where workers did not keep pace they were struck with all hands full: the average is not judged."""
    kills = [fault(Kind.KILL, 1.1, worker=number) for number in range(ENOUGH_FOR_AN_AVERAGE)]
    names = [f"{kill}-{number}" for kill in range(len(kills)) for number in range(3)]
    slow = Evidence(
        enqueued=[enqueued(each, 0.0) for each in names],
        receptions=[received(each, at, worker=int(each.split("-")[0])) for at in (1.0, 4.0) for each in names],
        rows={each: Row("delivered") for each in names},
        faults=kills,
        rested=0.5,
    )
    assert judge(slow).violations == []
    assert judge(replace(slow, rested=0.0)).violations != []


def test_errors_that_no_fault_explains_are_counted() -> None:
    """A broken connection of a producer is explained by a fault that struck it, and by no other."""
    trouble = Trouble(6.7, 6.9, 0, "connection", "server closed the connection")
    restart = fault(Kind.SERVER, 6.8)._replace(producers=frozenset([0]))
    assert judge(replace(TRUE, troubles=[trouble])).unexplained == ["server closed the connection"]
    assert judge(replace(TRUE, troubles=[trouble], faults=[*TRUE.faults, restart])).unexplained == []


def test_a_history_tells_all_of_a_message() -> None:
    """Enqueue, commit, every reception, the faults meanwhile, the row and the attempts."""
    told = history(replace(TRUE, attempts={"killed": ["503 Service Unavailable"]}), "killed")
    words = ("enqueued by producer 0", "commit", "worker 0: 200", "worker 1: 200", "forged", "delivered", "503 Service")
    assert [word for word in words if word not in told] == []
