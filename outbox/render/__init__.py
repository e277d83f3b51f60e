"""Values to what people and programs read. The one place where stored text is made harmless."""

from outbox.render.ages import age, ago
from outbox.render.jsons import jsonable, to_json
from outbox.render.screen import is_terminal, line, out
from outbox.render.table import Column, table
from outbox.render.text import safe

__all__ = ["Column", "age", "ago", "is_terminal", "jsonable", "line", "out", "safe", "table", "to_json"]
