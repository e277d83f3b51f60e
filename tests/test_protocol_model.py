"""The protocol keeps its promises in every order of its steps, and would break one without any of its guards."""

from __future__ import annotations

import pytest

from model.scope import Guard, Scope
from model.scopes import GUARDS, SHORT, without
from model.search import search


@pytest.mark.timeout(600)  # seconds on a machine of its own, but it may share one
@pytest.mark.parametrize(("scope", "states"), [pytest.param(*each, id=each[0].name) for each in SHORT.items()])
def test_every_state_keeps_the_promises(scope: Scope, states: int) -> None:
    """Whatever happens in whatever order: nothing is lost, invented, doubled without cause or out of order, and all ends."""
    verdict = search(scope)
    assert not verdict.wrong, "\n".join([*verdict.history, verdict.wrong])
    assert verdict.states == states


def test_the_search_is_large() -> None:
    """More than a million states are visited, each once."""
    assert sum(SHORT.values()) > 1_000_000


@pytest.mark.parametrize("guard", Guard, ids=lambda guard: guard.name.lower())
def test_no_guard_can_be_left_out(guard: Guard) -> None:
    """Where all guards are in force nothing breaks; take one away, and there is a history that breaks a promise."""
    assert not search(GUARDS[guard]).wrong
    verdict = search(without(guard))
    assert verdict.wrong
    assert verdict.history
