"""Measure the bars and print one table; exit 1 when one is missed.

    make bars
    make bars ARGS="snapshot one-key --database postgresql"
    make bars ARGS="--short"

PostgreSQL and MariaDB are private servers with their own defaults of durability, in a temporary directory. InnoDB, which goes
past the system's page cache that the other two have, is given half of the machine's memory, as an operator would.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from inspect import signature
from pathlib import Path

from bars import BARS
from bars.bar import Bar, Figure
from support import databases
from support.databases import Database
from support.servers import MariaServer, PostgresServer

Fresh = Callable[[], AbstractContextManager[Database]]


def main() -> int:
    """Read the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="make bars", description="Measure what the protocol must reach.")
    parser.add_argument("bars", nargs="*", metavar="BAR", help=f"of {', '.join(BARS)} (default: all)")
    parser.add_argument("--database", action="append", choices=databases.KINDS, help="may be repeated (default: all)")
    parser.add_argument("--short", action="store_true", help="small sizes: figures that only show that it works")
    given = parser.parse_args()
    if unknown := set(given.bars) - set(BARS):
        parser.error(f"no such bar: {', '.join(sorted(unknown))}")
    chosen = [BARS[name] for name in given.bars or BARS]
    missed = 0
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        for kind in given.database or databases.KINDS:
            fresh: Fresh | None = None
            for bar in chosen:
                if kind in bar.kinds:
                    fresh = fresh or _opened(kind, Path(folder), stack)
                    missed += _print(bar, kind, measured(bar, fresh, Path(folder), short=given.short))
    print(f"\n{missed} missed" if missed else "\nall reached")
    return 1 if missed else 0


def measured(bar: Bar, fresh: Fresh, folder: Path, *, short: bool) -> Iterator[Figure]:
    """Measure a bar in a fresh database."""
    with fresh() as database, tempfile.TemporaryDirectory(dir=folder) as own:
        wants_folder = "folder" in signature(bar.measure).parameters
        places = {"folder": Path(own)} if wants_folder else {}
        yield from bar.measure(database, **places, **(bar.short if short else {}))


def _opened(kind: str, folder: Path, stack: ExitStack) -> Fresh:
    if kind == "postgresql":
        postgres = stack.enter_context(PostgresServer(durable=True))
        template = databases.postgres_template(postgres)
        return lambda: databases.postgres_database(postgres, template)
    if kind == "mariadb":
        pool = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
        maria = stack.enter_context(MariaServer(durable=True, options=[f"innodb-buffer-pool-size={pool}"]))
        tables = databases.maria_template(maria)
        return lambda: databases.maria_database(maria, tables)
    path = databases.sqlite_template(folder)
    return lambda: databases.sqlite_database(folder, path)


def _print(bar: Bar, kind: str, figures: Iterator[Figure]) -> int:
    """Print each figure as it comes; give how many bars are missed."""
    missed = 0
    for figure in figures:
        verdict = "" if not figure.wanted else "ok" if figure.holds() else "MISSED"
        missed += verdict == "MISSED"
        value = f"{figure.measured:,.{0 if figure.measured >= 100 else 2}f}{figure.unit}"
        print(f"{bar.name:14} {kind:11} {figure.what:72} {value:>12} {figure.wanted:>10}  {verdict}", flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
