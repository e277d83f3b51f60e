"""`outbox config policy` and `outbox config schedule`: what an answer leads to, and when attempts come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tenacity import stop_after_attempt, stop_never, wait_chain, wait_exponential, wait_fixed, wait_random

from outbox.cli import run
from outbox.message import Attempt, Certainty, Failed, Retry
from outbox.policy import STATUSES, Action, Jittered, Policy, Weight, explained, times, weigh
from outbox.render.schedule import length
from outbox.settings import Settings
from support.sending import message

DEFAULT = Policy.of(Settings())


def shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert run(["config", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


POLICY = """\
ANSWER                                    THEN               PARK               CERTAINTY  CHARGED        DESTINATION
200-299                                   delivered          delivered                     no             works
300-399                                   retry              retry              rejected   unless paused  refused
408, 425, 429                             retry              retry              rejected   unless paused  failing
401, 403, 404, 405, 407, 410              retry              retry              rejected   unless paused  refused
400-499                                   failed (rejected)  failed (rejected)  rejected   yes            works
500-599                                   retry              failed (unknown)   unknown    unless paused  failing
100-199, 600-999                          retry              failed (unknown)   unknown    unless paused  failing
429 with Retry-After                      retry              retry              rejected   no             paused as it asks, at most 1h
503 with Retry-After                      retry              failed (unknown)   unknown    no             paused as it asks, at most 1h
no whole answer in time, reset, not HTTP  retry              failed (unknown)   unknown    unless paused  failing
DNS, connect or TLS failed                retry              retry              not_sent   no             away
"""


def test_the_built_in_policy(capsys: pytest.CaptureFixture[str]) -> None:
    """A line for each kind of answer and of error, and why."""
    assert run(["config", "policy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    cut = lines[0].index("WHY")
    assert "".join(f"{line[:cut].rstrip()}\n" for line in lines) == POLICY
    assert all(line[cut:] for line in lines)


def test_settings_and_flags_change_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is configured stands first; a line that decides about no status is left out."""
    monkeypatch.setenv("OUTBOX_ANSWERS", "400-499=refused")
    monkeypatch.setenv("OUTBOX_RETRY_AFTER_MAX", "0s")
    lines = shown(capsys, "policy")
    assert [line["answer"] for line in lines[:5]] == ["400-499", "200-299", "300-399", "500-599", "100-199, 600-999"]
    assert lines[0] == {
        "answer": "400-499",
        "then": "retry",
        "park": "retry",
        "certainty": "rejected",
        "charged": "unless paused",
        "destination": "refused",
        "why": "as OUTBOX_ANSWERS has it",
    }
    assert not any("Retry-After" in line["answer"] for line in lines)
    assert shown(capsys, "policy", "--answers", "503=delivered")[0]["then"] == "delivered"


@given(st.sampled_from(STATUSES), st.sampled_from(["retry", "park"]))
def test_the_table_says_what_the_policy_does(status: int, on_unknown: str) -> None:
    """The first line that names a status is what an attempt with it leads to."""
    line = next(each for each in explained(DEFAULT) if names(each.answer, status))
    verdict = DEFAULT.judge(status)
    word = line.park if on_unknown == "park" else line.then
    if verdict.action is Action.DELIVERED:
        assert (word, line.destination) == ("delivered", Weight.WORKS)
        return
    assert verdict.certainty is line.certainty is not None
    attempt = Attempt(0.0, 0.1, 1, line.certainty, "it failed", status)
    outcome = DEFAULT.outcome(message(on_unknown=on_unknown), attempt)
    assert word == (f"failed ({outcome.reason})" if isinstance(outcome, Failed) else "retry")
    assert line.destination == weigh(outcome, DEFAULT)


def names(answer: str, status: int) -> bool:
    ranges = [part.partition("-") for part in answer.split(", ")]
    return any(int(first) <= status <= int(last or first) for first, _, last in ranges)


def test_the_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    """Each attempt, and the end in words."""
    assert run(["config", "schedule"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ATTEMPT", "EARLIEST", "LATEST"]
    assert [lines[2], lines[4], lines[18]] == [
        "      2          4 s          6 s",
        "      4   4 min 28 s   6 min 42 s",
        "     18     3 d 22 h     5 d 21 h",
    ]
    assert lines[-1] == "Given up after attempt 18, 3 d 22 h to 5 d 21 h after it was first due."
    assert len(lines) == 21


def test_the_schedule_of_flags(capsys: pytest.CaptureFixture[str]) -> None:
    """In numbers: seconds after the message was first due."""
    found = shown(capsys, "schedule", "--retry-schedule", "10s,1m", "--max-attempts", "4")
    assert found["ends"] is True
    earliest = [each["earliest"] for each in found["attempts"]]
    latest = [each["latest"] for each in found["attempts"]]
    assert [each["attempt"] for each in found["attempts"]] == [1, 2, 3, 4]
    assert earliest == pytest.approx([0, 8, 56, 104])
    assert latest == pytest.approx([0, 12, 84, 156])
    assert run(["config", "schedule", "--max-attempts", "1"]) == 0
    assert capsys.readouterr().out.endswith("Given up after attempt 1, at once.\n")


def test_a_schedule_without_an_end(capsys: pytest.CaptureFixture[str]) -> None:
    """A policy that never gives up is shown for a while, and its end is not made up."""
    found = times(Policy(wait=wait_exponential(), stop=stop_never, retry_after_max=60.0))
    assert (len(found.attempts), found.ends) == (1000, False)
    assert run(["config", "schedule", "--max-attempts", "5000"]) == 0
    assert capsys.readouterr().out.endswith("It goes on: 1000 attempts are shown.\n")


def test_chance_in_a_wait_is_drawn() -> None:
    """What tenacity draws lies between the two ends, which come near what can be drawn."""
    policy = Policy(Jittered(wait_fixed(100) + wait_random(0, 10), share=0.5), stop_after_attempt(2), 60.0)
    found = times(policy).attempts[1]
    assert 50 <= found.earliest <= 50.2
    assert 164.7 <= found.latest <= 165
    alone = times(Policy(wait_random(0, 10), stop_after_attempt(2), 60.0)).attempts[1]
    assert 0 <= alone.earliest < 0.2
    assert 9.8 < alone.latest <= 10


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=5), st.integers(1, 9))
def test_no_attempt_comes_earlier_or_later(waits: list[float], most: int) -> None:
    """Any run of the schedule lies between the two columns."""
    policy = Policy(Jittered(wait_chain(*map(wait_fixed, waits))), stop_after_attempt(most), 60.0)
    moments = times(policy).attempts
    assert len(moments) == most
    now = 0.0
    for made, moment in enumerate(moments):
        assert moment.earliest * 0.999999 <= now <= moment.latest * 1.000001
        failed = Attempt(0.0, 0.1, 1, Certainty.UNKNOWN, "it failed")
        outcome = policy.outcome(message(attempts=made), failed)
        now += outcome.delay if isinstance(outcome, Retry) else 0.0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0 s"),
        (0.8, "0.8 s"),
        (59.0, "59 s"),
        (268.0, "4 min 28 s"),
        (300.0, "5 min"),
        (7468.0, "2 h 4 min"),
        (93600.0, "1 d 2 h"),
        (338400.0, "3 d 22 h"),
    ],
)
def test_lengths(seconds: float, text: str) -> None:
    """In the two greatest units."""
    assert length(seconds) == text
