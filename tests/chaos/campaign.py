"""A campaign: surroundings, producers, workers, faults, then silence, and the evidence."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from chaos.destination import Destination
from chaos.evidence import Evidence, read_attempts, read_rows
from chaos.faults import STRIKE, Fault, Scene
from chaos.fleet import Fleet
from chaos.ledger import Enqueued, Trouble, read
from chaos.loop import LoopThread
from chaos.plan import Kind, Plan
from chaos.pressure import Pressure, pending
from chaos.producer import Orders, metadata
from chaos.proxy import Proxy
from outbox.store import requirements
from support.databases import Database, build_schema, sqlite_database
from support.project import ROOT
from support.servers import MariaServer, PostgresServer, Server

CLEAN_SECONDS = 90.0
"""How long everything may take to become clean after the last fault."""

_OVERTIME = 2.0
"""How much longer than planned the faults may take on a slow machine; those that are left then are not done."""

_DRIVERS = {"sqlite": "pysqlite", "postgresql": "psycopg", "mariadb": "pymysql"}
_SERVERS: dict[str, type[Server]] = {"postgresql": PostgresServer, "mariadb": MariaServer}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a campaign came to."""

    plan: Plan
    evidence: Evidence
    skipped: dict[Kind, str]
    """Kinds of fault that cannot happen here, and why."""
    backlog: int
    """Messages that were pending when the last fault was over."""
    seconds_to_clean: float
    seconds: float
    server: str
    """The database's name and version."""


def run(plan: Plan, folder: Path) -> Result:
    """Run a campaign in a folder, where it leaves its logs."""
    began = time.monotonic()
    with ExitStack() as stack:
        database = stack.enter_context(_database(plan.kind, folder))
        scene = stack.enter_context(_scene(plan, database, folder))
        skipped = _impossible(scene)
        pressure = Pressure(database.engine, folder / "enough")
        with pressure, _producers(scene, folder) as ledgers:
            faults = _strike(scene, skipped)
        backlog, seconds_to_clean = pending(scene.database.engine), _become_clean(scene)
        for slot in scene.fleet.slots:
            scene.fleet.stop(slot)
        scene.loop.check()
        with database.engine.connect() as connection:
            name, version = requirements.server_version(connection)
        return Result(
            plan=plan,
            evidence=_evidence(scene, ledgers, faults, pressure.share),
            skipped=skipped,
            backlog=backlog,
            seconds_to_clean=seconds_to_clean,
            seconds=time.monotonic() - began,
            server=f"{name} {'.'.join(map(str, version))}",
        )


@contextmanager
def _database(kind: str, folder: Path) -> Iterator[Database]:
    with ExitStack() as stack:
        if kind == "sqlite":
            database = stack.enter_context(sqlite_database(folder))
        else:
            server = stack.enter_context(_SERVERS[kind]())
            database = Database(kind, server.create_database("chaos"), server)
            stack.callback(database.dispose)
        build_schema(database.url)
        metadata.create_all(database.engine)
        yield database


@contextmanager
def _scene(plan: Plan, database: Database, folder: Path) -> Iterator[Scene]:
    """The destination, the network and the workers."""
    with ExitStack() as stack:
        loop = stack.enter_context(LoopThread())
        destination = Destination(plan)
        loop.run(destination.start())
        stack.callback(lambda: loop.run(destination.stop()))
        worker_proxies = [stack.enter_context(_proxied(loop, database, place)) for place in range(plan.workers)]
        producer_proxies = [stack.enter_context(_proxied(loop, database, place)) for place in range(plan.producers)]
        urls = [_through(each, database.url) for each in worker_proxies]
        fleet = Fleet(plan, folder, urls, destination.endpoint, destination.heard)
        stack.callback(fleet.end)
        fleet.start()
        library = _clock_library()
        yield Scene(plan, database, loop, destination, fleet, worker_proxies, producer_proxies, library)


@contextmanager
def _proxied(loop: LoopThread, database: Database, place: int) -> Iterator[Proxy | None]:
    """A network for one client; the first of each kind reaches the database directly, and so does SQLite's."""
    if database.server is None or place == 0:
        yield None
        return
    proxy = Proxy(database.server.port)
    loop.run(proxy.start())
    try:
        yield proxy
    finally:
        loop.run(proxy.stop())


def _through(proxy: Proxy | None, url: str) -> str:
    if proxy is None:
        return url
    return make_url(url).set(port=proxy.port).render_as_string(hide_password=False)


def _clock_library() -> str | None:
    """The library of faketime, beside its program."""
    program = shutil.which("faketime")
    if program is None:
        return None
    return next((str(each) for each in Path(program).parents[1].glob("lib*/**/faketime/libfaketimeMT.so.1")), None)


def _impossible(scene: Scene) -> dict[Kind, str]:
    skipped = {}
    if scene.database.server is None:
        skipped = dict.fromkeys((Kind.BACKEND, Kind.SERVER, Kind.PROXY), "SQLite has no server")
        skipped[Kind.CLOCK] = "SQLite has no clock of its own"
    elif scene.clock_library is None:
        skipped[Kind.CLOCK] = "faketime is not installed"
    return skipped


@contextmanager
def _producers(scene: Scene, folder: Path) -> Iterator[list[Path]]:
    """Producers, until the block ends; then each finishes what it has begun, and must end well."""
    plan, ledgers, processes = scene.plan, list[Path](), list[subprocess.Popen[bytes]]()
    surroundings = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    url = scene.database.app_url(_DRIVERS[plan.kind])
    try:
        for number, proxy in enumerate(scene.producer_proxies):
            ledgers.append(folder / f"ledger-{number}.jsonl")
            told = Orders(
                number=number,
                seed=f"{plan.seed}:producer:{number}",
                url=_through(proxy, url),
                ledger=str(ledgers[-1]),
                enough=str(folder / "enough"),
                rate=plan.events / plan.seconds / plan.producers,
            )
            with (folder / f"producer-{number}.log").open("wb") as log:
                processes.append(subprocess.Popen(told.command(), env=surroundings, stdout=log, stderr=log))
        yield ledgers
        for each in processes:
            each.terminate()
        codes = [each.wait(60) for each in processes]
        scene.fleet.accidents += [f"producer {place} ended with {code}" for place, code in enumerate(codes) if code]
    finally:
        for each in processes:
            each.kill()
            each.wait()


def _strike(scene: Scene, skipped: dict[Kind, str]) -> list[Fault]:
    """All faults of all kinds, each kind on a thread of its own."""
    began, ending = time.monotonic(), threading.Event()
    kinds = [kind for kind in STRIKE if kind not in skipped and scene.plan.counts.get(kind)]
    with ThreadPoolExecutor(len(kinds)) as pool:
        try:
            striking = [pool.submit(_strike_kind, scene, kind, began, ending) for kind in kinds]
            wait(striking, return_when=FIRST_EXCEPTION)
        finally:
            ending.set()
    time.sleep(max(0.0, began + scene.plan.seconds - time.monotonic()))
    return sorted((fault for each in striking for fault in each.result()), key=lambda fault: fault.began)


def _strike_kind(scene: Scene, kind: Kind, began: float, ending: threading.Event) -> list[Fault]:
    chance, faults = scene.plan.random("how", kind), list[Fault]()
    for moment in scene.plan.moments(kind):
        is_ended = ending.wait(began + moment - time.monotonic())
        if is_ended or time.monotonic() > began + scene.plan.seconds * _OVERTIME:
            break
        faults.append(STRIKE[kind](scene, chance))
    return faults


def _become_clean(scene: Scene) -> float:
    """Seconds until nothing is pending, once all workers run and nobody hurts them."""
    began = time.monotonic()
    while pending(scene.database.engine) and time.monotonic() - began < CLEAN_SECONDS:
        scene.fleet.revive()
        time.sleep(0.05)
    return time.monotonic() - began


def _evidence(scene: Scene, ledgers: list[Path], faults: list[Fault], rested: float) -> Evidence:
    entries = [entry for each in ledgers for entry in read(each)]
    engine = scene.database.engine
    return Evidence(
        enqueued=[each for each in entries if isinstance(each, Enqueued)],
        troubles=[each for each in entries if isinstance(each, Trouble)],
        receptions=scene.destination.receptions,
        rows=read_rows(engine),
        attempts=read_attempts(engine),
        faults=faults,
        accidents=scene.fleet.accidents,
        concurrency=scene.plan.concurrency,
        rested=rested,
    )
