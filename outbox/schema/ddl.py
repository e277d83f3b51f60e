"""What only the databases need of our tables: indexes, MariaDB's options, and room in its rows.

Apart from the tables, because each of these loads the dialects that it names, and who only enqueues needs none.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import DDL, Dialect, Index, event, text

from outbox.schema.tables import message, metadata

__all__ = ["metadata"]

# utf8mb4_bin: names and keys compare as they are written; the default collation takes "A" for "a".
_MYSQL = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}

for _table in metadata.tables.values():
    for _dialect in ("mysql", "mariadb"):
        for _option, _value in _MYSQL.items():
            _table.dialect_options[_dialect][_option] = _value


def _is_mysql(*_: Any, dialect: Dialect, **__: Any) -> bool:
    return dialect.name in {"mysql", "mariadb"}


def _index(name: str, partial: str, columns: list[str], whole: list[str] | None) -> None:
    """Add one index: over part of the rows where the database can, else led by the predicate's columns, if it is needed.

    Both orders serve the claim's `ORDER BY` without a sort.
    """
    where = text(partial)
    Index(name, *(message.c[column] for column in columns), postgresql_where=where, sqlite_where=where).ddl_if(
        callable_=lambda *_, dialect, **__: dialect.name in {"postgresql", "sqlite"}
    )
    if whole is not None:
        Index(name, *(message.c[column] for column in whole)).ddl_if(callable_=_is_mysql)


_index(
    "outbox_message_pending",
    "state = 'pending' AND ordering_key IS NULL",
    ["destination", "due_at", "id"],
    ["destination", "state", "ordering_key", "due_at", "id"],
)
_index(
    "outbox_message_keyed",
    "state = 'pending' AND ordering_key IS NOT NULL",
    ["destination", "ordering_key", "created_at", "id"],
    ["destination", "state", "ordering_key", "created_at", "id"],
)
_index("outbox_message_failed", "state = 'failed'", ["id"], ["state", "id"])
# On MariaDB the keyed messages' index finds the failed ones, too.
_index(
    "outbox_message_blocking",
    "state = 'failed' AND ordering_key IS NOT NULL",
    ["destination", "ordering_key"],
    None,
)

# InnoDB moves each row of a page together when one of them becomes longer than it was. So each row has room for what a claim and
# a settle will write, and its length stays the same until it is delivered, unless an attempt fails. No statement of ours knows of it.
_ROOM = """
ALTER TABLE outbox_message ADD COLUMN room VARBINARY(30) GENERATED ALWAYS AS (
    repeat('.', case when settled_at is not null then 0 when claimed_until is not null then 6
        when claim_token is not null then 14 else 30 end)
) STORED
"""
event.listen(message, "after_create", DDL(_ROOM).execute_if(callable_=_is_mysql))  # type: ignore[no-untyped-call]
