"""Database users with the rights that docs/databases.md grants, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import count

from sqlalchemy import make_url

from support.databases import Database
from support.project import ROOT
from support.servers import PASSWORD

WORKER = "worker"
PURGES = "worker that removes what is old"
APPLICATION = "application"
OPERATOR = "operator"

_PAGE = (ROOT / "docs" / "databases.md").read_text(encoding="utf-8")
_numbers = count(1)


def grants(kind: str) -> dict[str, list[str]]:
    """The page's statements for a kind of database, by the comment above them."""
    block = re.search(rf"<!-- grants {kind} -->\n```sql\n(.*?)^```$", _PAGE, re.DOTALL | re.MULTILINE)
    assert block is not None
    parts = re.split(r"^-- (.*)\n", block[1], flags=re.MULTILINE)[1:]
    return {title: text.split("\n")[:-1] for title, text in zip(parts[::2], parts[1::2], strict=True)}


def plain_role(database: Database, limit: str = "") -> AbstractContextManager[str]:
    """Give the database's URL for a worker that may not delete; `limit` ends the statement that makes the user."""
    return role(database, WORKER, limit=limit)


@contextmanager
def role(database: Database, *titles: str, limit: str = "") -> Iterator[str]:
    """Give the database's URL for a user of its own, with what stands on the page under these titles."""
    server, own = database.server, make_url(database.url).database
    assert server is not None
    name = f"plain_{next(_numbers)}"
    make, drop = _POSTGRESQL if database.kind == "postgresql" else _MARIADB
    page = grants(database.kind)
    granted = [re.sub(r" TO shop_\w+;$", f" TO {name}", each) for title in titles for each in page[title]]
    server.execute(f"{make.format(name)} {limit}", *granted, database=own)
    try:
        url = make_url(database.url).set(username=name, password=PASSWORD)
        yield url.render_as_string(hide_password=False)
    finally:
        if server.pid is not None:
            server.execute(*(each.format(name) for each in drop), database=own)


_POSTGRESQL = (f"CREATE ROLE {{}} LOGIN PASSWORD '{PASSWORD}'", ["DROP OWNED BY {}", "DROP ROLE {}"])
_MARIADB = (f"CREATE USER {{}} IDENTIFIED BY '{PASSWORD}'", ["DROP USER {}"])
