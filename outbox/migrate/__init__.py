"""The schema's way from one version to the next: alembic, driven by us, one process at a time.

change = upgrade(engine)              # to the head; safe when eight processes do it at once
change.before, change.after           # None, "0001"
"""

from outbox.migrate.look import Revision, current, heads, history, messages
from outbox.migrate.verbs import Change, downgrade, sql, stamp, upgrade

__all__ = [
    "Change",
    "Revision",
    "current",
    "downgrade",
    "heads",
    "history",
    "messages",
    "sql",
    "stamp",
    "upgrade",
]
