"""The script language: how the fake destination is told to misbehave, in a line of text.

::

    503 x2, 200                     two 503, then 200 for ever
    per-key: 503 x2, ok             the first two tries of each idempotency key get 503
    cycle: ok x9, 429 retry-after=2 every tenth
    10%: 500, 2%: reset             by chance; what remains goes to the next rule, and at last to ok
    10%: 500 delay=1s..3s, ok       by chance, and ok otherwise
    name=bad_*: 400; delay=50ms     events with such names get 400, all others are answered after 50 ms

    script = rule [; rule]...       the first rule that has a step for a request decides; `ok` if none has
    rule   = [head:] plan
    head   = any of  name=PATTERN  key=PATTERN  per-key  cycle      (patterns: * ? [abc])
    plan   = step [xN] [, step [xN]]...        in turn; the last one without xN goes on for ever
           | N%: step [, N%: step]... [, step]  by chance
    step   = [action] [delay=2s | delay=1s..3s] [retry-after=30] [retry-after-date=30s]
             [location=URL] [size=1MiB] [every=200ms]
    action = a status (200 to 599), or one of
             ok               validate the body as documented: 200, or 400 with the problems
             reset-early      reset before the body is read      reset   reset after it
             reset-mid        reset in the middle of the answer
             close            close without an answer            close-mid  ... with half of one
             hang             never answer
             garbage          answer with what is not HTTP
             trickle          answer a byte at a time
             endless-headers, endless-body, endless-1xx          answers that never end
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from outbox.errors import ConfigurationError, did_you_mean
from outbox.settings.values import duration, size
from outbox.testing.script import Chances, Rule, Script, Turns
from outbox.testing.steps import PACED, SIZED, Action, Step

_HEAD = re.compile(r"\s*((?:(?:per-key|cycle|(?:name|key)=[^\s:;,]*)(?:\s+(?=\S)|(?=\s*:)))+)\s*:")
_CHANCE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*:")
_COUNT = re.compile(r"x(\d+)")
_ACTIONS = {str(action): action for action in Action if action is not Action.STATUS}
_HINT = "Such as '503 x2, 200', '10%: 500, 2%: reset', 'per-key: 503 x2, ok' or 'name=bad_*: 400'."


def parse(*texts: str, seed: int | None = None) -> Script:
    """Read a script. Several texts are several rules, in their order.

    Raises `ConfigurationError`, which says what is wrong at which character.
    """
    return Script([rule for text in texts for rule in _Reader(text).rules()], seed=seed)


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text

    def rules(self) -> Iterator[Rule]:
        if not self.text.strip():
            return
        for start, end in self.pieces(0, len(self.text), ";"):
            yield self.rule(start, end)

    def pieces(self, start: int, end: int, mark: str) -> Iterator[tuple[int, int]]:
        """Where the parts between the marks begin and end."""
        while True:
            cut = self.text.find(mark, start, end)
            yield start, end if cut < 0 else cut
            if cut < 0:
                return
            start = cut + 1

    def rule(self, start: int, end: int) -> Rule:
        head = _HEAD.match(self.text, start, end)
        words = self.head(head) if head else {}
        begin = head.end() if head else start
        items = list(self.pieces(begin, end, ","))
        if any(_CHANCE.match(self.text, *item) for item in items):
            for word in ("per-key", "cycle"):
                if word in words:
                    self.refuse(start, f"{word} has no meaning for chances")
            plan: Turns | Chances = self.chances(items)
        else:
            plan = self.turns(items, cycle="cycle" in words)
        return Rule(plan, words.get("name"), words.get("key"), per_key="per-key" in words)

    def head(self, found: re.Match[str]) -> dict[str, str]:
        words: dict[str, str] = {}
        for word in found[1].split():
            name, equals, pattern = word.partition("=")
            if name in words:
                self.refuse(found.start(1), f"{name} is given twice")
            if equals and not pattern:
                self.refuse(found.start(1), f"{name}= needs a pattern")
            words[name] = pattern
        return words

    def turns(self, items: list[tuple[int, int]], *, cycle: bool) -> Turns:
        steps, counts = [], []
        for item in items:
            step, count = self.step(*item)
            steps.append(step)
            counts.append(count)
        finite = [count or 1 for count in counts[:-1]]
        return Turns(tuple(steps), (*finite, counts[-1]), cycle=cycle)

    def chances(self, items: list[tuple[int, int]]) -> Chances:
        steps: list[Step] = []
        percents: list[float] = []
        rest = None
        for start, end in items:
            found = _CHANCE.match(self.text, start, end)
            step, count = self.step(found.end() if found else start, end)
            if count is not None:
                self.refuse(start, "a step by chance takes no count")
            if rest is not None:
                self.refuse(start, "only the last step of a list of chances may stand without a percentage")
            if found is None:
                rest = step
            else:
                steps.append(step)
                percents.append(float(found[1]))
        if sum(percents) > 100:
            self.refuse(items[0][0], f"the chances add up to {sum(percents):g}%")
        return Chances(tuple(steps), tuple(percents), rest)

    def step(self, start: int, end: int) -> tuple[Step, int | None]:
        words = [(found.start(), found[0]) for found in re.compile(r"\S+").finditer(self.text, start, end)]
        if not words or _COUNT.fullmatch(words[0][1]):
            self.refuse(start, "a step is missing")
        count = self.count(*words.pop()) if _COUNT.fullmatch(words[-1][1]) else None
        values: dict[str, Any] = {}
        options: dict[str, int] = {}
        for index, (at, word) in enumerate(words):
            name, equals, value = word.partition("=")
            if equals:
                if name in options:
                    self.refuse(at, f"{name}= is given twice")
                options[name] = at
                self.option(at, name, value, values)
            elif index == 0:
                values.update(self.action(at, word))
            else:
                self.refuse(at, f"{word!r} is neither an option (name=value) nor a count (x3)")
        step = Step(**values)
        self.check(step, options)
        return step, count

    def count(self, at: int, word: str) -> int:
        count = int(word[1:]) if len(word) < 12 else 0
        if count == 0:
            self.refuse(at, f"{word!r} is not a count of 1 or more")
        return count

    def action(self, at: int, word: str) -> dict[str, Any]:
        if re.fullmatch(r"[2-5]\d\d", word, re.ASCII):
            return {"action": Action.STATUS, "status": int(word)}
        if word.endswith(":"):
            self.refuse(at, f"{word!r} begins no rule: name=…, key=…, per-key, cycle or a percentage do")
        if word.isdecimal():
            self.refuse(at, f"{word} is not a status between 200 and 599")
        if word not in _ACTIONS:
            self.refuse(at, f"{word!r} is no action{did_you_mean(word, _ACTIONS)}")
        return {"action": _ACTIONS[word]}

    def option(self, at: int, name: str, value: str, values: dict[str, Any]) -> None:
        reader = _OPTIONS.get(name)
        if reader is None:
            self.refuse(at, f"{name}= is no option{did_you_mean(name, _OPTIONS)}")
        try:
            field, read = reader(value)
        except ValueError as error:
            self.refuse(at + len(name) + 1, f"{value!r} is no value of {name}: {error}")
        values[field] = values.get(field, ()) + read if field == "headers" else read

    def check(self, step: Step, options: dict[str, int]) -> None:
        for name, actions in _BELONGS.items():
            if name in options and step.action not in actions:
                self.refuse(options[name], f"{name}= has no meaning for {step.label}")

    def refuse(self, at: int, wrong: str) -> NoReturn:
        at += len(self.text[at:]) - len(self.text[at:].lstrip())
        msg = f"script {self.text!r}, character {min(at, len(self.text)) + 1}: {wrong}"
        raise ConfigurationError(msg, hint=_HINT)


def _delay(value: str) -> tuple[str, object]:
    low, dots, high = value.partition("..")
    span = (duration(low), duration(high if dots else low))
    if span[0] > span[1]:
        msg = "the range ends before it begins"
        raise ValueError(msg)
    return "delay", span


def _every(value: str) -> tuple[str, object]:
    return "every", duration(value)


def _size(value: str) -> tuple[str, object]:
    return "size", size(value)


def _retry_after_date(value: str) -> tuple[str, object]:
    return "retry_after", duration(value)


def _header(name: str) -> Callable[[str], tuple[str, object]]:
    def read(value: str) -> tuple[str, object]:
        return "headers", ((name, value),)

    return read


_OPTIONS: dict[str, Callable[[str], tuple[str, Any]]] = {
    "delay": _delay,
    "every": _every,
    "size": _size,
    # Any text: what a client makes of a senseless one is worth a test.
    "retry-after": _header("Retry-After"),
    "retry-after-date": _retry_after_date,
    "location": _header("Location"),
}
_BELONGS = {
    "every": PACED,
    "size": SIZED,
    "retry-after": {Action.STATUS},
    "retry-after-date": {Action.STATUS},
    "location": {Action.STATUS},
}
