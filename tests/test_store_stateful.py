"""The store against a model of its protocol (`tests/oracle`), in any order of events (`tests/machine`).

`make fuzz` looks for longer, with new seeds, and names the seed that failed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from secrets import randbits

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from machine import Machine
from support.databases import Database
from support.stage import Stage

FUZZ_SECONDS = float(os.environ.get("FUZZ_SECONDS", "0"))
FUZZ_SEED = os.environ.get("FUZZ_SEED")

FIXED = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    # The explain phase takes longer than the search.
    phases=[Phase.generate, Phase.shrink],
    # A run is some hundred transactions of a real database.
    suppress_health_check=[HealthCheck.too_slow],
)
LONG = settings(FIXED, max_examples=100, derandomize=False, database=None)


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    """Give a database whose connections stay open."""
    with closing(Stage(database)) as stage:
        yield stage


@pytest.mark.timeout(FUZZ_SECONDS + 900)  # shrinking what failed takes up to five minutes
def test_the_store_does_what_the_protocol_says(stage: Stage) -> None:
    """Whatever producers, workers, operators and time do, each answer and each row is as the protocol has it."""
    if not FUZZ_SECONDS:
        _run(lambda: Machine(stage), FIXED)
        return
    end = time.monotonic() + FUZZ_SECONDS
    while time.monotonic() < end:
        _search(stage, randbits(32) if FUZZ_SEED is None else int(FUZZ_SEED))
        if FUZZ_SEED is not None:
            break


def _search(stage: Stage, number: int) -> None:
    """Search with one seed."""

    @seed(number)
    def make() -> Machine:
        return Machine(stage)

    try:
        _run(make, LONG)
    except BaseException as error:
        error.add_note(f"FUZZ_SEED={number} repeats it on {stage.kind}")
        raise


def _run(make: Callable[[], Machine], how: settings) -> None:
    # It takes any function that makes a machine, and says so; its annotation does not.
    run_state_machine_as_test(make, settings=how)  # type: ignore[arg-type]
