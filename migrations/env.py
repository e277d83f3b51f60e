"""What alembic runs: for `outbox db` on the connection that it hands over, for `alembic` at a prompt on its own."""

from __future__ import annotations

from alembic import context

from outbox.migrate.environment import run_offline, run_online
from outbox.migrate.exclusive import exclusive


def _at_a_prompt() -> None:
    """`alembic upgrade head`, `alembic revision -m …` in the source tree."""
    from outbox.settings import load
    from outbox.store.engine import open_engine

    engine = open_engine(load(only=["database_url"]).settings.database_url)
    with exclusive(engine) as connection:
        run_online(connection)
    engine.dispose()


def _dialect() -> str:
    from outbox.settings import load
    from outbox.store.url import synchronous_url

    return synchronous_url(load(only=["database_url"]).settings.database_url).get_backend_name()


if context.is_offline_mode():
    run_offline(context.config.attributes.get("dialect") or _dialect())
elif "connection" in context.config.attributes:
    run_online(context.config.attributes["connection"])
else:
    _at_a_prompt()
