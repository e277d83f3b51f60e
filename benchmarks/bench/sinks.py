"""Where the POSTs of the contest go: the cheapest server that this machine has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bars.sink import sink
from bench import nginx


@dataclass(frozen=True)
class Cheap:
    """A sink that costs little, and how many requests it has had."""

    name: str
    url: str
    count: Callable[[], int]


@contextmanager
def cheapest() -> Iterator[Cheap]:
    """Run nginx, or where that is missing a server of our own on uvloop; it says which."""
    found = nginx.program()
    if found is not None:
        with nginx.serving(found) as server:
            yield Cheap(nginx.version(found), server.url, server.count)
    else:
        with sink() as own:
            yield Cheap("a server on uvloop (nginx is not installed)", own.url, lambda: own.count)
