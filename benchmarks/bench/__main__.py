"""Measure, print a table, keep the figures.

    make bench                                           the contest, and all else but `memory`
    make bench-quick                                     small sizes, and only the peers that are there
    make bench ARGS="compare --only postgresql graphile-worker bare --rounds 3"
    make bench ARGS="latency --database postgresql --set concurrency=128"
    make bench ARGS="memory"                             a million events on each database
    make bench ARGS="sweep --only graphile-worker"       the settings of a peer, tried one by one
    make bench ARGS="report .bench/results.json --write" figures and plots into the documentation

Each verb lays what it measured over its section of the file that `--json` names.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from bench import drawing
from bench.bench import QUICK, Bench, Sizes, opened
from bench.child import ROOT, ChildFailed
from bench.compare import FiguresMeanNothing
from bench.contestants import everyone, named
from bench.environments import PLACE, EnvironmentMissing
from bench.report import report, write
from bench.results import Section, keep, missed
from bench.verbs import VERBS, compare_ready, swept
from support.databases import KINDS

PAGE = ROOT / "docs" / "performance.md"
_ALL = ("compare", "distant", "cores", "latency", "idle")


def main() -> int:
    """Read the command line and do what it says."""
    given = _parser().parse_args()
    file = given.json or PLACE / ("quick.json" if given.verb == "quick" else "results.json")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    try:
        if given.verb == "report":
            return _report(given.results, write_it=given.write)
        with opened(_sizes(given), given.set, given.database, given.only) as bench:
            return _sweep(bench, file) if given.verb == "sweep" else _measure(bench, given.verb, file)
    except (ChildFailed, EnvironmentMissing, FiguresMeanNothing) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench", description="Measure how fast the outbox is.")
    verbs = ("all", "quick", *VERBS, "sweep", "report")
    parser.add_argument("verb", nargs="?", default="all", choices=verbs)
    parser.add_argument("results", nargs="?", type=Path, default=PLACE / "results.json", help="of the verb report")
    parser.add_argument("--only", nargs="+", default=[], choices=[each.name for each in everyone()], metavar="NAME",
                        help=f"contestants: {', '.join(each.name for each in everyone())} (default: all)")  # fmt: skip
    parser.add_argument("--database", action="append", default=[], choices=KINDS, help="may be repeated (default: all)")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of our workers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="default: .bench/results.json, or .bench/quick.json")
    for name, what in (
        ("rounds", "of which the median counts"),
        ("events", "in a round of the contest"),
        ("commits", "of the latency"),
        ("many", "events of the verb memory"),
    ):
        parser.add_argument(f"--{name}", type=int, metavar="N", help=what)
    parser.add_argument("--seconds", type=float, metavar="N", help="of each measurement that counts over a span")
    parser.add_argument("--write", action="store_true", help="report: write the page and its plots")
    return parser


def _sizes(given: argparse.Namespace) -> Sizes:
    """The sizes of the verb, and what the command line says of them."""
    base = QUICK if given.verb == "quick" else Sizes()
    told = {name: getattr(given, name) for name in vars(base) if getattr(given, name) is not None}
    return Sizes(**{**vars(base), **told})


def _measure(bench: Bench, verb: str, file: Path) -> int:
    """Measure one thing or all, keep each as it is done, and print the report.

    A bar that is missed is told, and does not make the run a failure: another machine has other figures.
    """
    verbs: dict[str, Callable[[Bench], Section]] = {"compare": compare_ready, "latency": VERBS["latency"]}
    if verb != "quick":
        verbs = {name: VERBS[name] for name in (_ALL if verb == "all" else (verb,))}
    found = {name: _kept(file, name, measure(bench)) for name, measure in verbs.items()}
    print(report(found))
    if names := missed(found):
        print(f"missed: {'; '.join(names)}", file=sys.stderr)
    return 0


def _kept(file: Path, name: str, part: Section) -> Section:
    file.parent.mkdir(parents=True, exist_ok=True)
    keep(file, {name: part})
    return part


def _sweep(bench: Bench, file: Path) -> int:
    """Try the settings of the peers, keep what each reached, and print it."""
    peers = [each for each in (named(bench.only) if bench.only else everyone()) if each.environment]
    found = {name: _kept(file, name, swept(bench, peer)) for peer in peers for name in [f"sweep {peer.name}"]}
    print(report(found))
    return 0


def _report(results: Path, *, write_it: bool) -> int:
    """Print what was measured before, or write it into the documentation."""
    found = json.loads(results.read_text(encoding="utf-8"))
    if not write_it:
        print(report(found))
        return 0
    drawn = drawing.draw(results)
    write(PAGE, found, drawn)
    print(f"{PAGE.relative_to(ROOT)} {' '.join(drawn.values())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
