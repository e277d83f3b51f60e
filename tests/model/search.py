"""Breadth-first search: every state once, the nearest first, so that a counter-example is as short as can be.

A state is a scene and the faults that are left for the rest of the run.
"""

from __future__ import annotations

import gc
import time
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model.graph import Graph
from model.history import told
from model.scope import Fault, Scope

NOTHING = -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a search has found."""

    scope: Scope
    states: int
    """Distinct states that were reached."""
    seconds: float
    wrong: str = ""
    history: Sequence[str] = ()
    """The shortest way to what is wrong, a line each step."""


def search(scope: Scope) -> Verdict:
    """Visit all states of the scope, or those up to the first that is wrong."""
    began = time.perf_counter()
    # Millions of objects and no cycle among them: the collector would only walk through them again and again.
    gc.disable()
    try:
        exploration = _Exploration(scope)
        wrong, path = exploration.run()
        history = list(told(exploration.graph, path))
        return Verdict(scope, len(exploration.states), time.perf_counter() - began, wrong, history)
    finally:
        gc.enable()


_BITS = 2 * len(Fault)
"""A state is one number: the scene's, and behind it what is left of each fault, two bits each."""


class _Onward(NamedTuple):
    """Where a scene leads to, as what is to be added to the faults left."""

    wrong: str
    freely: list[int]
    by_fault: list[tuple[int, int]]
    """The bits that say whether any of that fault is left; and what to add."""


class _Exploration:
    def __init__(self, scope: Scope) -> None:
        self.graph = Graph(scope)
        left = sum(count << 2 * fault for fault, count in scope.faults.items())
        self.states: list[int] = [(self.graph.start() << _BITS) + left]
        self._parents = array("i", [NOTHING])
        self._onward: dict[int, _Onward] = {}

    def run(self) -> tuple[str, list[int]]:
        """Which promise is broken, and the scenes on the way there; nothing if none is."""
        states, parents, known = self.states, self._parents, self._onward
        numbers = {states[0]: 0}
        for at, state in enumerate(states):  # it grows meanwhile
            scene = state >> _BITS
            left = state - (scene << _BITS)
            wrong, freely, by_fault = known.get(scene) or self._look_on(scene)
            if wrong:
                return wrong, self._path(at)
            following = [left + to for to in freely]
            following += [left + to for mask, to in by_fault if left & mask]
            for each in following:
                if numbers.setdefault(each, len(states)) == len(states):
                    states.append(each)
                    parents.append(at)
        return self._endless()

    def _look_on(self, scene: int) -> _Onward:
        graph = self.graph
        edges = list(graph.edges(scene))
        to = [(edge.step.fault, graph.scene_after(edge) << _BITS) for edge in edges]
        found = self._onward[scene] = _Onward(
            graph.wrong(scene, edges),
            [base for fault, base in to if fault is None],
            [(3 << 2 * fault, base - (1 << 2 * fault)) for fault, base in to if fault is not None],
        )
        return found

    def _endless(self) -> tuple[str, list[int]]:
        """Find a scene from which a run without further faults never ends, and follow it once round.

        From each scene the first step that is no fault is taken. If all these runs end, every scene has a way to
        the end that needs no luck: a run in which whatever can be done again and again is done at some time ends.
        """
        ends: set[int] = set()
        for start in self._onward:
            way: dict[int, None] = {}
            at = start
            while at != NOTHING and at not in ends:
                if at in way:
                    return "and so on for ever, without any further fault", [*self._path_to(start)[:-1], *way, at]
                way[at] = None
                freely = self._onward[at].freely
                at = freely[0] >> _BITS if freely else NOTHING
            ends.update(way)
        return "", []

    def _path_to(self, scene: int) -> list[int]:
        return self._path(next(at for at, state in enumerate(self.states) if state >> _BITS == scene))

    def _path(self, at: int) -> list[int]:
        """The scenes from the first one to this state's."""
        found = []
        while at != NOTHING:
            found.append(self.states[at] >> _BITS)
            at = self._parents[at]
        return found[::-1]
