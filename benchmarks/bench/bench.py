"""One run of the benchmarks: its servers, its folder, its sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bars.bar import Figure
from bench.contestants import write_body
from bench.results import Section, section
from bench.servers import Servers
from support.databases import KINDS


@dataclass(frozen=True)
class Sizes:
    """How much of each is measured."""

    rounds: int = 5
    events: int = 50_000
    """In a round of the contest."""
    seconds: float = 5.0
    """Of each measurement that counts over a span."""
    commits: int = 200
    """Of the latency, for each database."""
    many: int = 1_000_000
    """Events over which memory must stay flat."""


QUICK = Sizes(rounds=2, events=5_000, seconds=2.0, commits=10, many=20_000)


@dataclass(frozen=True)
class Bench:
    """One run of the benchmarks."""

    servers: Servers
    folder: Path
    sizes: Sizes
    changes: Sequence[str] = ()
    """Settings of our workers, as `name=value`."""
    kinds: Sequence[str] = KINDS
    only: Sequence[str] = ()
    """The contestants, by name; empty for all."""

    @property
    def settings(self) -> dict[str, str]:
        """The changes as a mapping."""
        return {name: value for name, _, value in (each.partition("=") for each in self.changes)}

    @property
    def body(self) -> str:
        """What is sent."""
        return write_body(self.folder).read_text(encoding="utf-8")

    def kept(
        self,
        figures: Sequence[Figure],
        settings: Mapping[str, object],
        *,
        versions: Mapping[str, str] | None = None,
        **more: object,
    ) -> Section:
        """Put a section together; the changes stand beside the settings."""
        return section({**settings, **self.settings}, {**self.servers.versions(), **(versions or {})}, figures, **more)


@contextmanager
def opened(sizes: Sizes, changes: Sequence[str], kinds: Sequence[str], only: Sequence[str]) -> Iterator[Bench]:
    """Start what is wanted as it is wanted, and end it all."""
    with TemporaryDirectory(prefix="outbox-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        yield Bench(Servers(folder, stack), folder, sizes, changes, kinds or KINDS, only)
