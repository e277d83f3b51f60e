"""What each verb measures, as a section of the results."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from bars.bar import Figure
from bench import compare as contest
from bench import environments, idle, latency, memory, steady
from bench.bench import Bench
from bench.contestants import Contestant, everyone, named, ready, write_body
from bench.results import Section
from bench.sinks import cheapest
from bench.sweep import sweep


def compare(bench: Bench, contestants: Sequence[Contestant] = ()) -> Section:
    """Ours, the bare client and the peers, round after round."""
    chosen = contestants or (named(bench.only) if bench.only else everyone())
    sizes = bench.sizes
    peers = sorted({each.environment for each in chosen if each.environment})
    for name in peers:
        environments.ready(name)
    with cheapest() as sink:
        rows = contest.compare(
            chosen, bench.servers, sink, bench.folder,
            events=sizes.events, rounds=sizes.rounds, changes=bench.changes,
        )  # fmt: skip
    return bench.kept(
        list(contest.figures(rows)),
        {"sink": sink.name, "events": sizes.events, "rounds": sizes.rounds},
        versions={name: environments.version(name) for name in peers},
        rows=[_row(row) for row in rows],
    )


def _row(row: contest.Row) -> Section:
    return {
        "name": row.contestant.name,
        "database": row.contestant.database,
        "note": row.contestant.note,
        "events": row.events,
        "rate": row.rate,
        "rates": row.rates,
        "cpu_us": median(row.cpu) * 1e6,
        "cpu_us_rounds": [each * 1e6 for each in row.cpu],
        "settings": row.settings,
    }


def compare_ready(bench: Bench) -> Section:
    """The contest without those whose environment would have to be made first."""
    return compare(bench, () if bench.only else ready())


def swept(bench: Bench, peer: Contestant) -> Section:
    """The settings of a peer, each tried by itself."""
    sizes = bench.sizes
    with cheapest() as sink:
        tried = sweep(peer, bench.servers, sink, bench.folder, events=sizes.events, rounds=sizes.rounds)
    return bench.kept(
        [],
        {"sink": sink.name, "events": peer.events(sizes.events), "rounds": sizes.rounds},
        versions={peer.environment: environments.version(peer.environment)},
        tried=[asdict(each) for each in tried],
    )


def distant(bench: Bench, concurrency: int = 512) -> Section:
    """A destination 50 ms away, at a high concurrency."""
    body, sizes = write_body(bench.folder), bench.sizes
    alone = [steady.bare(body, concurrency=concurrency, seconds=sizes.seconds) for _ in range(sizes.rounds)]
    what = f"the HTTP client alone: 50 ms away, concurrency {concurrency}, of concurrency ÷ latency"
    figures = _shown([Figure(what, median(alone) * 100, unit=" %")])
    for kind in bench.kinds:
        found = [_steady(bench, kind, 1, concurrency) for _ in range(bench.sizes.rounds)]
        figures += _shown(steady.distant(kind, found, concurrency))
    return bench.kept(figures, {"concurrency": concurrency, "rounds": bench.sizes.rounds})


def cores(bench: Bench) -> Section:
    """Two workers beside one, in turn, where one is not bound by its CPU."""
    figures = []
    for kind in bench.kinds:
        one, two = list[steady.Steady](), list[steady.Steady]()
        for _ in range(bench.sizes.rounds):
            one.append(_steady(bench, kind, 1, 64))
            two.append(_steady(bench, kind, 2, 64))
        figures += _shown(steady.doubled(kind, one, two))
    return bench.kept(figures, {"concurrency": 64, "rounds": bench.sizes.rounds})


def _steady(bench: Bench, kind: str, workers: int, concurrency: int) -> steady.Steady:
    with bench.servers.fresh(kind) as database, TemporaryDirectory(dir=bench.folder) as own:
        return steady.steady(
            database, Path(own), bench.body,
            workers=workers, concurrency=concurrency, seconds=bench.sizes.seconds, settings=bench.settings,
        )  # fmt: skip


def commit_to_delivered(bench: Bench) -> Section:
    """From commit to delivered, on an idle system."""
    figures, series = [], {}
    for label, kind, settings in _waiting(bench):
        with bench.servers.fresh(kind) as database, TemporaryDirectory(dir=bench.folder) as own:
            found = latency.latencies(database, Path(own), events=bench.sizes.commits, settings=settings)
        series[label] = [each * 1000 for each in found]
        figures += _shown(latency.figures(label, found))
    return bench.kept(figures, {"commits": bench.sizes.commits}, milliseconds=series)


def _waiting(bench: Bench) -> Iterator[tuple[str, str, dict[str, str]]]:
    """Each way in which a worker waits for what is committed: name, database, settings."""
    for kind in bench.kinds:
        yield kind, kind, bench.settings
        if kind == "postgresql":
            yield latency.WOKEN, kind, bench.settings | {"wake": "on"}


def idling(bench: Bench) -> Section:
    """What a worker costs that has nothing to do."""
    figures = []
    for label, kind, settings in _waiting(bench):
        with bench.servers.fresh(kind) as database:
            found = idle.idle(database, seconds=bench.sizes.seconds * 2, settings=settings)
        figures += _shown(idle.figures(label, found))
    return bench.kept(figures, {"seconds": bench.sizes.seconds * 2})


def memory_over(bench: Bench, concurrency: int = 512) -> Section:
    """A worker's memory over many events."""
    figures, series = [], {}
    for kind in bench.kinds:
        with (
            bench.servers.fresh(kind) as database, cheapest() as sink, TemporaryDirectory(dir=bench.folder) as own,
        ):  # fmt: skip
            sizes = {"events": bench.sizes.many, "concurrency": concurrency}
            samples = list(memory.over(database, Path(own), bench.body, sink, **sizes, settings=bench.settings))
        series[kind] = samples[:-1]
        figures += _shown(memory.figures(kind, samples, bench.sizes.many, concurrency))
    return bench.kept(figures, sizes, mebibytes=series)


def _shown(figures: Iterable[Figure]) -> list[Figure]:
    """Tell of each figure as it comes: a whole run takes its time."""
    found = list(figures)
    for each in found:
        print(f"{each.what:60} {each.measured:>12,.2f}{each.unit}", file=sys.stderr, flush=True)
    return found


VERBS: dict[str, Callable[[Bench], Section]] = {
    "compare": compare,
    "distant": distant,
    "cores": cores,
    "latency": commit_to_delivered,
    "idle": idling,
    "memory": memory_over,
}
