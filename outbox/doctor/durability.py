"""Whether what is committed outlives a power cut: an event is kept as well as the database keeps its commits."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from outbox.doctor.finding import Finding, ok, problem, warning
from outbox.settings import Settings
from outbox.store.engine import Connection
from outbox.store.look import server_settings
from outbox.store.requirements import Version, server_version

_CHECK = "durability"
_FIRST_WAL: Version = (3, 7, 0)
_WITHOUT_THE_BUG: Version = (3, 51, 3)
_REPAIRED: tuple[Version, ...] = ((3, 50, 7), (3, 44, 6))
"""Older releases of SQLite to which the repair was brought back."""


def durability(connection: Connection, _settings: Settings) -> Iterator[Finding]:
    """What the database's settings say of a power cut."""
    name, version = server_version(connection)
    found = server_settings(connection)
    findings = [*_JUDGED[name](found)]
    if name == "SQLite" and found["journal_mode"] == "wal":
        findings += wal_reset(version)
    yield from findings
    if not findings:
        yield ok(_CHECK, ", ".join(f"{name}={value}" for name, value in sorted(found.items())))


def wal_reset(version: Version) -> Iterator[Finding]:
    """The bug that can corrupt a file in WAL mode when several processes write (SQLite 3.7.0 to 3.51.2)."""
    if version < _FIRST_WAL or version >= _WITHOUT_THE_BUG:
        return
    if any(version[:2] == repaired[:2] and version >= repaired for repaired in _REPAIRED):
        return
    shown = ".".join(map(str, version))
    text = f"the file is in WAL mode, and SQLite {shown} has a bug that can corrupt it when several processes write"
    remedy = (
        "Upgrade SQLite to 3.51.3, 3.50.7 or 3.44.6, or see that your system's package has the repair; or leave WAL mode: "
        "PRAGMA journal_mode = DELETE"
    )
    yield warning(_CHECK, text, remedy)


def sqlite(found: Mapping[str, str]) -> Iterator[Finding]:
    """The journal of the file, and how the worker's own connections sync; the application's have their own setting."""
    if found["synchronous"] == "off":
        text = "this SQLite is built with synchronous=off: a power cut can corrupt the file"
        yield problem(_CHECK, text, "Use another build of SQLite")
    if found["synchronous"] == "normal":
        text = "this SQLite is built with synchronous=normal: in WAL mode a power cut can undo the last commits"
        yield warning(_CHECK, text, "PRAGMA synchronous = FULL on the application's connections keeps its events")
    if found["journal_mode"] in {"off", "memory"}:
        text = f"journal_mode={found['journal_mode']}: a crash in mid-transaction corrupts the file"
        yield problem(_CHECK, text, "PRAGMA journal_mode = WAL, or DELETE")


def postgresql(found: Mapping[str, str]) -> Iterator[Finding]:
    """As this role's sessions have it, which is how a worker's have it."""
    if found.get("fsync") == "off":
        text = "fsync=off: a power cut can corrupt the whole cluster"
        yield problem(_CHECK, text, "Set fsync = on in postgresql.conf")
    if found.get("full_page_writes") == "off":
        text = "full_page_writes=off: a power cut can tear pages, unless the file system writes them whole, as ZFS does"
        yield warning(_CHECK, text, "Set full_page_writes = on in postgresql.conf")
    if found.get("synchronous_commit") == "off":
        text = "synchronous_commit=off: a crash of the server can undo the last commits, events among them"
        yield warning(_CHECK, text, "Set synchronous_commit = on, for the application's role at least")


def mysql(found: Mapping[str, str]) -> Iterator[Finding]:
    """InnoDB's log, its doublewrite buffer, and the binary log where there is one."""
    flush = found.get("innodb_flush_log_at_trx_commit", "1")
    if flush != "1":
        whose = "a crash of the server or a power cut" if flush == "0" else "a power cut"
        text = f"innodb_flush_log_at_trx_commit={flush}: {whose} can undo the commits of the last second"
        yield warning(_CHECK, text, "Set innodb_flush_log_at_trx_commit = 1")
    if found.get("innodb_doublewrite") in {"0", "off"}:
        text = (
            "innodb_doublewrite=off: a power cut can tear pages, unless the file system writes them whole, as ZFS does"
        )
        yield warning(_CHECK, text, "Set innodb_doublewrite = ON")
    if found.get("log_bin") == "on" and found.get("sync_binlog", "1") != "1":
        text = f"sync_binlog={found['sync_binlog']}: after a power cut replicas may lack events that were committed, or have others"
        yield warning(_CHECK, text, "Set sync_binlog = 1")


_JUDGED: dict[str, Callable[[Mapping[str, str]], Iterator[Finding]]] = {
    "SQLite": sqlite,
    "PostgreSQL": postgresql,
    "MariaDB": mysql,
    "MySQL": mysql,
}
