"""`outbox db`: create and migrate the outbox's tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from outbox.cli.options import settings_options
from outbox.errors import SchemaOutdated
from outbox.settings import Loaded

if TYPE_CHECKING:
    from outbox.migrate import Change
    from outbox.store.engine import Engine


class _RevisionType(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A revision, or two with a colon between them, as alembic has them."""

    name = "revision"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Refuse what is no revision before a database is touched."""
        from outbox import migrate

        known = [each.revision for each in migrate.history()]
        for part in str(value).split(":"):
            relative = re.fullmatch(r"[+-]\d+", part, re.ASCII)
            if part not in {"base", "head", *known} and not relative:
                self.fail(f"{part!r} is no revision; `outbox db history` lists them", param, ctx)
        return str(value)


_SQL = click.option("--sql", "as_sql", is_flag=True, help="Print the statements; touch no database.")


@click.group()
def db() -> None:
    """Create and migrate the outbox's tables.

    Their version is kept in outbox_alembic_version; an application's own migrations in the same database are left alone.
    """


@db.command()
@click.argument("revision", default="head", type=_RevisionType(), metavar="[REVISION]")
@_SQL
@settings_options("database_url")
def upgrade(*, loaded: Loaded, revision: str, as_sql: bool) -> None:
    """Bring the tables up to a revision, by default the newest.

    Run it on every deploy: it does nothing where nothing is to do, and several may run at once. --sql prints the
    statements from the first revision to this one, or from A to B for A:B.
    """
    from outbox import migrate

    if as_sql:
        _print_sql(loaded, revision if ":" in revision else f"base:{revision}", down=False)
        return
    with _opened(loaded, create=True) as engine:
        _say("Upgraded", engine, migrate.upgrade(engine, revision))


@db.command()
@click.argument("revision", type=_RevisionType())
@_SQL
@click.option("--yes", is_flag=True, help="Do not ask.")
@settings_options("database_url")
def downgrade(*, loaded: Loaded, revision: str, as_sql: bool, yes: bool) -> int:
    """Bring the tables down to a revision. `base` removes them, with every message.

    Asks first; off a terminal it needs --yes.
    """
    from outbox import migrate
    from outbox.render import line

    if as_sql:
        whole = revision if ":" in revision else f"{migrate.heads()[0]}:{revision}"
        _print_sql(loaded, whole, down=True)
        return 0
    with _opened(loaded) as engine:
        if not yes and not _agreed(engine, revision):
            line("Nothing was changed")
            return 1
        _say("Downgraded", engine, migrate.downgrade(engine, revision))
    return 0


@db.command()
@click.option("--check-heads", is_flag=True, help="Exit 4 unless it is the newest revision.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@settings_options("database_url")
def current(*, loaded: Loaded, check_heads: bool, as_json: bool) -> int:
    """Print the revision at which the database stands."""
    from outbox import migrate
    from outbox.render import line, to_json

    with _opened(loaded) as engine:
        found, newest = migrate.current(engine), migrate.heads()
    at_head = found == newest
    if as_json:
        line(to_json({"current": found, "head": newest, "at_head": at_head}))
    else:
        line(f"{_named(found)} ({'head' if at_head else f'head is {_named(newest)}'})")
    return SchemaOutdated.exit_code if check_heads and not at_head else 0


@db.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def history(*, as_json: bool) -> None:
    """List the revisions, oldest first."""
    from dataclasses import asdict

    from outbox import migrate
    from outbox.render import Column, line, table, to_json

    revisions = migrate.history()
    if as_json:
        line(to_json([asdict(each) for each in revisions]))
    else:
        table((Column("REVISION"), Column("WHAT")), [(each.revision, each.summary) for each in revisions])


@db.command()
@click.argument("revision", type=_RevisionType())
@settings_options("database_url")
def stamp(*, loaded: Loaded, revision: str) -> None:
    """Record a revision without running anything, for tables that were made by hand."""
    from outbox import migrate

    with _opened(loaded) as engine:
        _say("Stamped", engine, migrate.stamp(engine, revision))


@contextmanager
def _opened(loaded: Loaded, *, create: bool = False) -> Iterator[Engine]:
    """Open the database, of whatever version its schema is, and see that the server can carry an outbox."""
    from outbox.store.engine import open_engine
    from outbox.store.requirements import check_server, require_file
    from outbox.store.trouble import explained

    engine = open_engine(loaded.settings.database_url)
    try:
        require_file(engine.url, create=create)
        with explained(engine):
            with engine.connect() as connection:
                check_server(connection)
            yield engine
    finally:
        engine.dispose()


def _print_sql(loaded: Loaded, revisions: str, *, down: bool) -> None:
    from outbox import migrate
    from outbox.render import out
    from outbox.store.url import synchronous_url

    dialect = synchronous_url(loaded.settings.database_url).get_backend_name()
    out(migrate.sql(dialect, revisions, down=down))


def _agreed(engine: Engine, revision: str) -> bool:
    from outbox import migrate
    from outbox.render import safe
    from outbox.store.url import shown_url

    counts = migrate.messages(engine)
    lost = ", ".join(f"{count} {state}" for state, count in sorted(counts.items())) or "none"
    question = f"Downgrade {shown_url(engine.url)} to {revision}? Messages that may be lost: {lost}"
    if not sys.stdin.isatty():
        msg = f"{question}. Off a terminal this needs --yes"
        raise click.UsageError(safe(msg))
    return click.confirm(safe(question))


def _say(verb: str, engine: Engine, change: Change) -> None:
    from outbox.render import line
    from outbox.store.url import shown_url

    where, after = shown_url(engine.url), change.after or "none"
    same = change.before == change.after
    line(f"{where} is already at {after}" if same else f"{verb} {where} from {change.before or 'none'} to {after}")


def _named(revisions: list[str]) -> str:
    return ", ".join(revisions) or "none"
