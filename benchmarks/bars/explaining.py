"""Every statement explained by the database, as it runs and with the values that it runs with."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Engine, event

TABLE = "outbox_message"
MANY = 2500
"""Rows: no statement here needs to visit or to sort so many."""

# What runs the statement says how many rows it visited; an UPDATE must not run twice.
_RUN = {
    "postgresql": "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ",
    "mysql": "ANALYZE ",
    "sqlite": "EXPLAIN QUERY PLAN ",
}
_PLAN = _RUN | {"postgresql": "EXPLAIN (FORMAT JSON) ", "mysql": "EXPLAIN "}


@dataclass(frozen=True)
class Plan:
    """What the database would do, and on PostgreSQL did, for one statement."""

    dialect: str
    statement: str
    rows: list[dict[str, Any]]

    @property
    def faults(self) -> list[str]:
        """Sorts, and reads of the whole table."""
        return _FAULTS[self.dialect](self.rows)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """PostgreSQL's tree, the root first."""
        return list(_nodes(self.rows[0]["QUERY PLAN"][0]["Plan"]))


@contextmanager
def explaining(engine: Engine) -> Iterator[list[Plan]]:
    """Collect the plan of each SELECT and UPDATE of the engine's connections."""
    plans: list[Plan] = []
    dialect = engine.dialect.name

    def explain(_connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE", "WITH")):
            prefix = (_PLAN if "UPDATE outbox" in statement else _RUN)[dialect]
            cursor.execute(prefix + statement, parameters)
            names = [column[0] for column in cursor.description]
            plans.append(Plan(dialect, statement, [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]))

    event.listen(engine, "before_cursor_execute", explain)
    try:
        yield plans
    finally:
        event.remove(engine, "before_cursor_execute", explain)


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for child in node.get("Plans", ()):
        yield from _nodes(child)


def _postgresql(rows: list[dict[str, Any]]) -> list[str]:
    return [fault for node in _nodes(rows[0]["QUERY PLAN"][0]["Plan"]) if (fault := _node_fault(node))]


def _node_fault(node: dict[str, Any]) -> str:
    kind = str(node["Node Type"])
    is_ours = node.get("Relation Name") == TABLE
    if kind == "Seq Scan" and is_ours:
        return kind
    visited = (node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)) * node.get("Actual Loops", 1)
    return f"{kind} of {visited} rows" if visited > MANY and (is_ours or "Sort" in kind) else ""


def _mysql(rows: list[dict[str, Any]]) -> list[str]:
    """Faults of our table and its aliases; what is sorted of derived tables are the keys of one look."""
    found = []
    for row in rows:
        if row["table"] is None or not row["table"].startswith(TABLE):
            continue
        if row["type"] == "ALL" or row["key"] is None or float(row.get("r_rows") or 0) > MANY:
            found.append(f"{row['type']} of {row.get('r_rows')} rows by {row['key']}")
        if "filesort" in row["Extra"] or "temporary" in row["Extra"]:
            found.append(row["Extra"])
    return found


def _sqlite(rows: list[dict[str, Any]]) -> list[str]:
    details = [row["detail"] for row in rows]
    scans = [each for each in details if each.startswith(f"SCAN {TABLE}")]
    # The keys of one look come from a recursion: few, and theirs is no scan of the table.
    sorts = [] if "SCAN keys" in details else [each for each in details if "TEMP B-TREE FOR ORDER BY" in each]
    return scans + sorts


_FAULTS = {"postgresql": _postgresql, "mysql": _mysql, "sqlite": _sqlite}
