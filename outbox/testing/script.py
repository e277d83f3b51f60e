"""Scripts at work: rules, tried in their order for each request, decide on its step."""

from __future__ import annotations

import fnmatch
import random
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

from outbox.errors import ConfigurationError
from outbox.testing.request import Request
from outbox.testing.steps import OK, Action, Step


@dataclass(frozen=True, slots=True)
class Turns:
    """Steps one after the other: `steps[i]` is taken `counts[i]` times; None, only for the last, is for ever."""

    steps: tuple[Step, ...]
    counts: tuple[int | None, ...]
    cycle: bool = False
    """Begin again at the end. A last step without a count is then taken once."""
    ends: tuple[int, ...] = field(init=False)

    def __post_init__(self) -> None:
        finite = [1 if count is None else count for count in self.counts]
        object.__setattr__(self, "ends", tuple(accumulate(finite)))

    @property
    def total(self) -> bool:
        """Whether there is a step for every turn."""
        return self.cycle or self.counts[-1] is None

    def step(self, turn: int, _generator: random.Random) -> Step | None:
        """The step of the turn (from 0), or None when all are used up."""
        index = bisect_right(self.ends, turn % self.ends[-1] if self.cycle else turn)
        if index < len(self.steps):
            return self.steps[index]
        return self.steps[-1] if self.total else None


@dataclass(frozen=True, slots=True)
class Chances:
    """Steps by chance: `steps[i]` in `percents[i]` of a hundred requests, `rest` (or nothing) otherwise."""

    steps: tuple[Step, ...]
    percents: tuple[float, ...]
    rest: Step | None = None

    @property
    def total(self) -> bool:
        """Whether every draw has a step."""
        return self.rest is not None or sum(self.percents) >= 100

    def step(self, _turn: int, generator: random.Random) -> Step | None:
        """Draw a step."""
        draw = generator.random() * 100
        for step, limit in zip(self.steps, accumulate(self.percents), strict=True):
            if draw < limit:
                return step
        return self.rest


@dataclass(slots=True)
class Rule:
    """A plan for the requests that match. One that has nothing to say leaves the request to the next rule."""

    plan: Turns | Chances
    name: str | None = None
    """Pattern of the event's name, as in file names: `*`, `?`, `[abc]`."""
    key: str | None = None
    """Pattern of the idempotency key."""
    per_key: bool = False
    """Count the turns of each idempotency key apart."""
    turns: Counter[str | None] = field(default_factory=Counter, init=False)
    name_matches: Callable[[str], object] | None = field(init=False)
    key_matches: Callable[[str], object] | None = field(init=False)

    def __post_init__(self) -> None:
        self.name_matches = None if self.name is None else re.compile(fnmatch.translate(self.name)).match
        self.key_matches = None if self.key is None else re.compile(fnmatch.translate(self.key)).match

    @property
    def total(self) -> bool:
        """Whether no request is left to the rules that follow."""
        return self.name is None and self.key is None and self.plan.total

    @property
    def early(self) -> bool:
        """Whether it may act before the body is read."""
        return any(step.action is Action.RESET_EARLY for step in self.plan.steps)

    def step(self, request: Request, generator: random.Random) -> Step | None:
        """The request's step, or None."""
        if self.name_matches is not None and (request.name is None or not self.name_matches(request.name)):
            return None
        key = request.key if self.per_key or self.key_matches is not None else None
        if self.key_matches is not None and (key is None or not self.key_matches(key)):
            return None
        counted = key if self.per_key else None
        turn = self.turns[counted]
        self.turns[counted] = turn + 1
        return self.plan.step(turn, generator)


class Script:
    """Rules, the first of which that has a step decides. Requests that none answers are validated (`ok`).

    It counts turns, so one script serves one server. Raises `ConfigurationError` for rules that contradict
    each other.
    """

    def __init__(self, rules: Sequence[Rule] = (), *, seed: int | None = None) -> None:
        self.rules = tuple(rules)
        self._generator = random.Random(seed)  # noqa: S311 - chooses faults, guards nothing
        self._check()
        named = [index for index, rule in enumerate(self.rules) if rule.name is not None]
        split = named[0] if named else len(self.rules)
        self._before_body, self._after_body = self.rules[:split], self.rules[split:]
        self._early = any(rule.early for rule in self.rules)

    def decide_early(self, request: Request) -> Step | None:
        """The step of a request whose headers alone are read, if a rule that needs no name has one."""
        return self._first(self._before_body, request) if self._early else None

    def decide(self, request: Request) -> Step:
        """The step of a request that is read whole."""
        return self._first(self._after_body if self._early else self.rules, request) or OK

    def seconds(self, step: Step) -> float:
        """Draw the step's delay."""
        low, high = step.delay
        return low if low == high else self._generator.uniform(low, high)

    def _first(self, rules: Sequence[Rule], request: Request) -> Step | None:
        for rule in rules:
            step = rule.step(request, self._generator)
            if step is not None:
                return step
        return None

    def _check(self) -> None:
        named = 0
        for number, rule in enumerate(self.rules, start=1):
            if rule.total and number < len(self.rules):
                msg = f"rule {number} of the script answers every request, so that rule {number + 1} is never reached"
                raise ConfigurationError(msg, hint="Put the rule for fewer requests (name=, key=, x3) first.")
            named = named or (number if rule.name is not None else 0)
            if rule.early and named:
                msg = (
                    f"rule {number} of the script resets before the body is read, but rule {named} needs the name in it"
                )
                raise ConfigurationError(msg, hint="Use reset there, or put the rule with name= last.")


Answerer = Callable[[Request], Step | None]
"""A script written in Python: called with each whole request; None means `ok`."""
