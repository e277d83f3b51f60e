"""What can happen, and how often."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from inspect import getmembers
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

F = TypeVar("F", bound=Callable[..., None])

_MARK = "_often"


@dataclass(frozen=True)
class Move:
    """A call of one of the machine's methods."""

    name: str
    arguments: dict[str, Any]

    def __repr__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.arguments.items())})"


def move(often: int, **arguments: SearchStrategy[Any]) -> Callable[[F], F]:
    """Let a method be one of the things that can happen.

    Not a rule of its own: of those hypothesis switches most off for the length of a run, and what matters here comes
    of many different things together.
    """

    def mark(method: F) -> F:
        setattr(method, _MARK, (often, arguments))
        return method

    return mark


def moves(*parts: type) -> SearchStrategy[Move]:
    """Everything that is marked in these classes."""
    marked = {name: getattr(method, _MARK) for part in parts for name, method in getmembers(part) if _is_marked(method)}
    names = [name for name, (often, _) in marked.items() for _ in range(often)]
    return st.sampled_from(names).flatmap(
        lambda name: st.builds(Move, st.just(name), st.fixed_dictionaries(marked[name][1]))
    )


def _is_marked(method: object) -> bool:
    return hasattr(method, _MARK)
