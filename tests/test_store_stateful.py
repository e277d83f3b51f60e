"""The store against a model of its protocol (`tests/oracle`), in any order of events (`tests/machine`)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from machine import Machine
from support.databases import Database
from support.stage import Stage

@pytest.fixture
def stage(database: Database) -> Iterator[Stage]:
    with closing(Stage(database)) as stage:
        yield stage


def test_the_store_does_what_the_protocol_says(stage: Stage) -> None:
    """Whatever producers, workers, operators and time do, each answer and each row is as the protocol has it."""
    rules = settings(
        max_examples=40, stateful_step_count=50, deadline=None, derandomize=True,
        suppress_health_check=[HealthCheck.too_slow], phases=[Phase.generate, Phase.shrink])
    run_state_machine_as_test(lambda: Machine(stage), settings=rules)
