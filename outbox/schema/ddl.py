"""What only the databases need of our tables: indexes and MariaDB's options.

Apart from the tables, because each of these loads the dialects that it names, and who only enqueues needs none.
"""

from __future__ import annotations

from sqlalchemy import Index, text

from outbox.schema.tables import message, metadata

__all__ = ["metadata"]

# utf8mb4_bin: names and keys compare as they are written; the default collation takes "A" for "a".
_MYSQL = {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_bin"}

for _table in metadata.tables.values():
    for _dialect in ("mysql", "mariadb"):
        for _option, _value in _MYSQL.items():
            _table.dialect_options[_dialect][_option] = _value


def _index(name: str, partial: str, columns: list[str], whole: list[str] | None) -> None:
    """Add one index: over part of the rows where the database can, else led by the predicate's columns, if it is needed.

    Both orders serve the claim's `ORDER BY` without a sort.
    """
    where = text(partial)
    Index(name, *(message.c[column] for column in columns), postgresql_where=where, sqlite_where=where).ddl_if(
        callable_=lambda *_, dialect, **__: dialect.name in {"postgresql", "sqlite"}
    )
    if whole is not None:
        Index(name, *(message.c[column] for column in whole)).ddl_if(
            callable_=lambda *_, dialect, **__: dialect.name in {"mysql", "mariadb"}
        )


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
