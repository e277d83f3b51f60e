"""A message's id as a person gives it: whole, or the beginning of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from uuid import UUID

from sqlalchemy import Connection, select

from outbox.schema import message

_EXAMPLE = "0199f0c2-7a5e-7cc3-98c4-dc0c0c07398f"
_DIGITS = 32


@dataclass(frozen=True, slots=True)
class IdPrefix:
    """The ids from `low` to `high`: a range of the primary key, which is cheap on every database."""

    text: str
    low: UUID
    high: UUID

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read an id, or at least its first 8 digits; hyphens may be left out. Raises `ValueError`."""
        digits = text.strip().replace("-", "").lower()
        if not re.fullmatch(r"[0-9a-f]{8,32}", digits):
            msg = f"an id looks like {_EXAMPLE}; its first 8 digits or more will do where they are unambiguous"
            raise ValueError(msg)
        return cls(text.strip(), UUID(digits.ljust(_DIGITS, "0")), UUID(digits.ljust(_DIGITS, "f")))


def matching_ids(connection: Connection, prefix: IdPrefix, *, limit: int = 3) -> list[UUID]:
    """The first few ids of messages that begin so: none, the one that is meant, or several."""
    column = message.c.id
    query = select(column).where(column.between(prefix.low, prefix.high)).order_by(column).limit(limit)
    return list(connection.execute(query).scalars())
