"""Whose transaction: from what the application handed in to the connection that carries the event.

Classes of `sqlalchemy.orm` and `sqlalchemy.ext.asyncio` are looked up only where the application has imported them:
`import outbox` imports neither.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import InvalidRequestError, PendingRollbackError, UnboundExecutionError

from outbox.errors import EnqueueRefused, TargetRefused
from outbox.event import Event
from outbox.producer.prepared import INSERT

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, async_scoped_session
    from sqlalchemy.orm import Session, scoped_session
    from typing_extensions import TypeIs

Target: TypeAlias = "Session | scoped_session[Any] | Connection | AsyncSession | async_scoped_session[Any]"
"""What `enqueue` writes into. SQLModel's sessions are SQLAlchemy's."""

AsyncTarget: TypeAlias = "AsyncSession | async_scoped_session[Any] | AsyncConnection"
"""What `enqueue_async` writes into."""

_ORM = "sqlalchemy.orm"
_ASYNC = "sqlalchemy.ext.asyncio"


def is_a(target: Any, module: str, name: str) -> bool:
    """Whether the target is of a class of a module that may not have been imported."""
    return isinstance(target, getattr(sys.modules.get(module), name, ()))


def is_session(target: Any) -> TypeIs[Session]:
    """Whether it is a Session."""
    return is_a(target, _ORM, "Session")


def is_async_session(target: Any) -> TypeIs[AsyncSession]:
    """Whether it is an AsyncSession."""
    return is_a(target, _ASYNC, "AsyncSession")


def is_async_connection(target: Any) -> TypeIs[AsyncConnection]:
    """Whether it is an AsyncConnection."""
    return is_a(target, _ASYNC, "AsyncConnection")


def recognised(target: Target) -> Connection | Session | AsyncSession:
    """What `enqueue` can write into, or `TargetRefused`."""
    if isinstance(target, Connection) or is_session(target):
        return target
    session = _unscoped(target)
    if is_session(session) or is_async_session(session):
        return session
    raise _refused(session)


def recognised_async(target: AsyncTarget) -> AsyncConnection | AsyncSession:
    """What `enqueue_async` can write into, or `TargetRefused`."""
    carrier = _unscoped(target)
    if is_async_session(carrier) or is_async_connection(carrier):
        return carrier
    raise _refused_async(carrier)


def _unscoped(target: Any) -> Any:
    """The session that a scoped session stands for; anything else as it is."""
    if is_a(target, _ORM, "scoped_session") or is_a(target, _ASYNC, "async_scoped_session"):
        return target()
    return target


def connection_of(target: Session | Connection) -> Connection:
    """The connection of the transaction, begun if need be."""
    if isinstance(target, Connection):
        return target
    try:
        # The statement, not the table: sessions that route by statement send an INSERT to the writer.
        return target.connection(bind_arguments={"clause": INSERT})
    except UnboundExecutionError as error:
        msg = "The session has no bind for the outbox's table"
        hint = (
            "Bind it: Session(binds={…, outbox.schema.message: engine}), to the database of the rows it belongs with."
        )
        raise TargetRefused(msg, hint=hint) from error
    except PendingRollbackError:
        raise
    except InvalidRequestError as error:
        if target.is_active:
            raise
        raise ended() from error


def ended() -> EnqueueRefused:
    """The session's transaction is over: as in `after_commit`."""
    return EnqueueRefused(
        "The session's transaction has ended: the event would belong to none, and be lost",
        hint="Enqueue before the commit: beside the rows, or in before_commit or after_flush; not in after_commit.",
    )


_ENQUEUE = "outbox.enqueue(session, …)"
_ENQUEUE_ASYNC = "await outbox.enqueue_async(session, …)"


def _refused(target: Any) -> TargetRefused:
    """Why `enqueue` cannot write into it, and what to write instead."""
    if is_async_connection(target):
        msg = "An AsyncConnection can only be written to with await"
        return TargetRefused(msg, hint="Write: await outbox.enqueue_async(connection, …)")
    return _refused_anywhere(target, _ENQUEUE)


def _refused_async(target: Any) -> TargetRefused:
    """Why `enqueue_async` cannot write into it, and what to write instead."""
    if isinstance(target, Connection) or is_session(target):
        msg = f"The {type(target).__name__} is a synchronous one"
        return TargetRefused(msg, hint=f"Write, without await: {_ENQUEUE}")
    return _refused_anywhere(target, _ENQUEUE_ASYNC)


def _refused_anywhere(target: Any, call: str) -> TargetRefused:
    for module, name, article, block in _MAKERS:
        if is_a(target, module, name):
            call = _ENQUEUE_ASYNC if module == _ASYNC else _ENQUEUE
            return TargetRefused(f"{article} {name} holds no transaction", hint=f"Write: {block}: {call}")
    what, instead = _slip(target) or _foreign(target)
    return TargetRefused(what, hint=f"{instead}: {call}")


_ITSELF = "Hand in the session or connection of your transaction"
_MAKERS = (
    ("sqlalchemy.engine", "Engine", "An", "with Session(engine) as session, session.begin()"),
    (_ASYNC, "AsyncEngine", "An", "async with AsyncSession(engine) as session, session.begin()"),
    (_ORM, "sessionmaker", "A", "with Session.begin() as session"),
    (_ASYNC, "async_sessionmaker", "An", "async with Session.begin() as session"),
)
"""What makes sessions and connections, and how."""

_DRIVERS = {
    "sqlite3", "aiosqlite", "psycopg", "psycopg2", "psycopg_pool", "asyncpg", "pg8000",
    "pymysql", "asyncmy", "aiomysql", "MySQLdb", "mysql", "mariadb",
}  # fmt: skip


def _slip(target: Any) -> tuple[str, str] | None:
    """What a slip of the hand passed in, and the next step but for the call."""
    if target is None:
        return "None is no session", _ITSELF
    if isinstance(target, type):
        return f"{target.__name__} is a class", "Hand in the session itself"
    if isinstance(target, dict | Event):
        return "The event comes second", "The first argument is the session"
    return None


def _foreign(target: Any) -> tuple[str, str]:
    name, home = type(target).__name__, type(target).__module__.partition(".")[0]
    if home == "django":
        instead = (
            "The outbox writes through SQLAlchemy; hand in the SQLAlchemy session or connection of the transaction"
        )
        return f"Django's {name} is no SQLAlchemy transaction", instead
    if home in _DRIVERS:
        return f"The {name} is the driver's own", "Hand in the SQLAlchemy session or connection that it belongs to"
    if home == "sqlalchemy" and name.endswith("Transaction"):
        return f"The {name} carries no statements", "Hand in the session or connection that began it"
    return f"An object of type {name} is no session", _ITSELF
