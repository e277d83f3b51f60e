"""The graph that is searched: scenes, and the steps that lead from one to the next.

A scene is the rows and the workers, as numbers. What an actor can do depends on the rows, on that actor and on the
locks of the others, so it is worked out once for each such triple, by the modules that say what the protocol is, and
looked up ever after. Workers have no names: scenes that differ in nothing but who is who are one.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

from model.claiming import claims
from model.faults import misfortunes, outlived
from model.outside import events, restarted, ticked
from model.properties import wrong_end, wrong_rows, wrong_worker
from model.rows import Row, Rows
from model.scope import Fault, Scope
from model.sending import answers, arrivals, begins
from model.settling import settles
from model.steps import NOBODY, Step
from model.transactions import commits
from model.workers import Worker, hurries, is_writing, locks, rolled_back, slept, without_tokens

T = TypeVar("T", bound=Hashable)

EVERYBODY = -1
"""In the place of the worker that makes a step: it is somebody else, or all of them."""


class Table(Generic[T]):
    """Values and their numbers."""

    def __init__(self) -> None:
        self.values: list[T] = []
        self._numbers: dict[T, int] = {}

    def number(self, value: T) -> int:
        """Give the value's number, a new one if need be."""
        found = self._numbers.setdefault(value, len(self.values))
        if found == len(self.values):
            self.values.append(value)
        return found


class Move(NamedTuple):
    """A step, and the numbers of what it makes of the rows and of the worker."""

    step: Step
    rows: int
    worker: int


class Edge(NamedTuple):
    """A step from a scene."""

    place: int
    """Of the worker whose step it is."""
    step: Step
    rows: int
    workers: Sequence[int]
    """Each still in its old place: in the next scene they are sorted."""


class Graph:
    """The scenes of a scope."""

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        self.scenes: Table[tuple[int, ...]] = Table()
        self._rows: Table[Rows] = Table()
        self._workers: Table[Worker] = Table()
        self._locks: list[int] = []
        self._wrong_rows: dict[int, str] = {}
        self._wrong_workers: dict[tuple[int, int], str] = {}
        self._moves: dict[tuple[int, int, int], list[Move]] = {}
        self._events: dict[tuple[int, int], list[Move]] = {}
        self._robbed: dict[tuple[int, int], int] = {}

    def start(self) -> int:
        """The first scene: nothing is claimed."""
        rows = tuple(Row(state=kind.start) for kind in self.scope.messages)
        workers = [self._number(Worker())] * self.scope.workers
        return self.scenes.number((self._rows.number(rows), *workers))

    def scene_after(self, edge: Edge) -> int:
        """The scene that a step leads to."""
        return self.scenes.number((edge.rows, *sorted(edge.workers)))

    def wrong(self, scene: int, edges: Iterable[Edge]) -> str:
        """Which promise a scene breaks; nothing if it keeps all. `edges` are its own."""
        rows, *workers = self.scenes.values[scene]
        said = self._wrong(rows, workers)
        if not said and all(edge.step.fault is not None for edge in edges):
            said = wrong_end(self.scope, self._rows.values[rows])
        return said

    def _wrong(self, rows: int, workers: Iterable[int]) -> str:
        seen = self._rows.values[rows]
        if rows not in self._wrong_rows:
            self._wrong_rows[rows] = wrong_rows(self.scope, seen)
        said = self._wrong_rows[rows]
        for worker in workers:
            if (rows, worker) not in self._wrong_workers:
                self._wrong_workers[rows, worker] = wrong_worker(self.scope, seen, self._workers.values[worker])
            said = said or self._wrong_workers[rows, worker]
        return said

    def edges(self, scene: int) -> Iterator[Edge]:
        """What can happen next; what is no fault in the order in which a run to the end would take it."""
        rows, *workers = self.scenes.values[scene]
        for place, worker in enumerate(workers):
            if worker not in workers[:place]:  # what its double does leads to the same scenes
                locked = self._locked(workers[:place] + workers[place + 1 :])
                for move in self._worker_moves(rows, worker, locked):
                    yield self._edge(place, move, workers)
        locked = self._locked(workers)
        for move in self._other_moves(rows, locked):
            yield self._edge(EVERYBODY, move, workers)
        yield from self._ticks(rows, workers)
        if self.scope.allows(Fault.RESTART):
            yield from self._restarts(rows, workers)

    def _worker_moves(self, rows: int, worker: int, locked: int) -> list[Move]:
        key = (rows, worker, locked)
        if key not in self._moves:
            steps = _steps(self.scope, self._rows.values[rows], self._workers.values[worker], locked)
            self._moves[key] = self._allowed(steps)
        return self._moves[key]

    def _other_moves(self, rows: int, locked: int) -> list[Move]:
        key = (rows, locked)
        if key not in self._events:
            self._events[key] = self._allowed(events(self.scope, self._rows.values[rows], locked))
        return self._events[key]

    def _allowed(self, steps: Iterable[Step]) -> list[Move]:
        return [
            Move(step, self._rows.number(step.rows), self._number(step.worker))
            for step in steps
            if step.fault is None or self.scope.allows(step.fault)
        ]

    def _edge(self, place: int, move: Move, workers: list[int]) -> Edge:
        step, rows, worker = move
        after = [self._rob(each, step.taken) for each in workers] if step.taken else workers[:]
        if place != EVERYBODY:
            after[place] = worker
        return Edge(place, step, rows, after)

    def _ticks(self, number: int, places: list[int]) -> Iterator[Edge]:
        """Time passes, unless a living worker would do something first."""
        workers = [self._workers.values[place] for place in places]
        if not any(map(hurries, workers)):
            rows = self._rows.values[number]
            for worker in workers:
                rows = outlived(self.scope, rows, worker)
            after, to = self._rows.number(ticked(rows)), [self._number(slept(worker)) for worker in workers]
            if (after, to) != (number, places):
                yield Edge(EVERYBODY, _TICK, after, to)

    def _restarts(self, number: int, places: list[int]) -> Iterator[Edge]:
        """The database restarts, where any transaction is open."""
        rows, workers = self._rows.values[number], [self._workers.values[place] for place in places]
        after = restarted(rows)
        if after != rows or any(map(is_writing, workers)):
            to = [self._number(rolled_back(worker)) for worker in workers]
            yield Edge(EVERYBODY, _RESTART, self._rows.number(after), to)

    def _locked(self, workers: Iterable[int]) -> int:
        locked = 0
        for worker in workers:
            locked |= self._locks[worker]
        return locked

    def _rob(self, worker: int, taken: int) -> int:
        """The worker, after somebody took its tokens off those rows."""
        if (worker, taken) not in self._robbed:
            self._robbed[worker, taken] = self._number(without_tokens(self._workers.values[worker], taken))
        return self._robbed[worker, taken]

    def _number(self, worker: Worker) -> int:
        number = self._workers.number(worker)
        if number == len(self._locks):
            self._locks.append(locks(worker))
        return number


def _steps(scope: Scope, rows: Rows, worker: Worker, locked: int) -> Iterator[Step]:
    yield from arrivals(rows, worker)
    if worker.frozen:
        yield Step("goes on", rows, worker._replace(frozen=False))
    else:
        yield from commits(scope, rows, worker)
        yield from answers(scope, rows, worker)
        yield from settles(scope, rows, worker, locked)
        yield from begins(scope, rows, worker)
        yield from claims(scope, rows, worker, locked)
    yield from misfortunes(scope, rows, worker)


_TICK = Step("a tick passes", (), NOBODY)
_RESTART = Step("the database restarts", (), NOBODY, fault=Fault.RESTART)
