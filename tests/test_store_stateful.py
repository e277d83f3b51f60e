"""The store against a model of its protocol (`tests/oracle`), in any order of events (`tests/machine`).

`make test` searches a little, always from the same seed. `make fuzz` searches for FUZZ_SECONDS, from one seed after
another, and names the one that failed; with FUZZ_SEED it is searched again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
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

_SEED = 3
_SHORT = settings(
    max_examples=20,
    stateful_step_count=40,
    deadline=None,
    database=None,
    # The explain phase takes longer than the search.
    phases=[Phase.generate, Phase.shrink],
    # A run is some hundred transactions of a real database.
    suppress_health_check=[HealthCheck.too_slow],
)
_LONG = settings(_SHORT, max_examples=100, stateful_step_count=60)


@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    """Give a database whose connections stay open."""
    with closing(Stage(database)) as stage:
        yield stage


@pytest.mark.timeout(FUZZ_SECONDS + 900)  # shrinking what failed takes up to five minutes
def test_the_store_does_what_the_protocol_says(stage: Stage) -> None:
    """Whatever producers, workers, operators and time do, each answer and each row is as the protocol has it."""
    if not FUZZ_SECONDS:
        _search(stage, _SEED, _SHORT)
    elif FUZZ_SEED is not None:
        _search(stage, int(FUZZ_SEED), _LONG)
    else:
        end = time.monotonic() + FUZZ_SECONDS
        while time.monotonic() < end:
            _search(stage, randbits(32), _LONG)


def _search(stage: Stage, number: int, how: settings) -> None:
    @seed(number)
    def make() -> Machine:
        return Machine(stage)

    try:
        # It takes any function that makes a machine, and says so; its annotation does not.
        run_state_machine_as_test(make, settings=how)  # type: ignore[arg-type]
    except BaseException as error:
        error.add_note(f"On {stage.kind}; of a search, FUZZ_SEED={number} repeats it")
        raise
