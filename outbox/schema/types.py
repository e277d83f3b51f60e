"""Column types that mean the same on every database, though each stores them its own way."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BINARY, CHAR, TIMESTAMP, Dialect, Text, TypeDecorator
from sqlalchemy import UUID as SQL_UUID
from sqlalchemy.types import TypeEngine

# The dialects' own types are imported where they are used: an application on SQLite need not load MySQL's.


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, to the microsecond.

    PostgreSQL: `timestamptz`. MariaDB, MySQL: `DATETIME(6)` holding UTC. SQLite: fixed-width text
    (`2026-01-31T12:00:00.000000Z`), which sorts as time does.
    """

    impl = CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(TIMESTAMP(timezone=True))
        if dialect.name in {"mysql", "mariadb"}:
            from sqlalchemy.dialects.mysql import DATETIME

            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(CHAR(27))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Hand UTC to the driver."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = "a naive datetime has no moment in time; attach a timezone, such as datetime.UTC"
            raise ValueError(msg)
        utc = value.astimezone(UTC)
        if dialect.name == "postgresql":
            return utc
        if dialect.name in {"mysql", "mariadb"}:
            return utc.replace(tzinfo=None)
        return utc.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read back an aware datetime in UTC."""
        if value is None:
            return None
        if isinstance(value, str):
            return datetime.fromisoformat(value).astimezone(UTC)
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Uuid(TypeDecorator[UUID]):
    """A UUID. PostgreSQL: `uuid`. MariaDB, MySQL: `BINARY(16)`. SQLite: 36 characters, readable.

    `sqlalchemy.Uuid` renders differently by server version, so that a migration and the metadata
    would disagree.
    """

    impl = CHAR
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(SQL_UUID(as_uuid=True))
        if dialect.name in {"mysql", "mariadb"}:
            return dialect.type_descriptor(BINARY(16))
        return dialect.type_descriptor(CHAR(36))

    def process_bind_param(self, value: UUID | None, dialect: Dialect) -> Any:
        """Hand the driver its own form."""
        if value is None or dialect.name == "postgresql":
            return value
        return value.bytes if dialect.name in {"mysql", "mariadb"} else str(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> UUID | None:
        """Read back a `uuid.UUID`."""
        if value is None or isinstance(value, UUID):
            return value
        return UUID(value) if isinstance(value, str) else UUID(bytes=bytes(value))


class LongText(TypeDecorator[str]):
    """Text without a practical limit: MariaDB's TEXT ends at 64 KiB, its MEDIUMTEXT at 16 MiB."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        if dialect.name in {"mysql", "mariadb"}:
            from sqlalchemy.dialects.mysql import MEDIUMTEXT

            return dialect.type_descriptor(MEDIUMTEXT())
        return super().load_dialect_impl(dialect)
