"""What an operator looks at. Reads only: short transactions, no lock that a worker would wait for."""

from outbox.store.look.backlog import oldest_due
from outbox.store.look.enqueued import Enqueued, enqueued, owner
from outbox.store.look.filters import NO_ANSWER, Filters, Moment
from outbox.store.look.fingerprint import fingerprint
from outbox.store.look.groups import Group, Grouping, groups
from outbox.store.look.health import Health, health
from outbox.store.look.ids import IdPrefix, matching_ids
from outbox.store.look.listing import PAGE, Summary, database_now, now_in_transaction, pages
from outbox.store.look.server import is_listened_to, server_settings
from outbox.store.look.show import AttemptRecord, Shown, shown
from outbox.store.look.status import (
    NEWEST,
    Counted,
    Destination,
    Standing,
    Unconfigured,
    counted,
    is_known,
    pause_of,
    standing,
)
from outbox.store.look.workers import Trouble, Worker, living

__all__ = [
    "NEWEST",
    "NO_ANSWER",
    "PAGE",
    "AttemptRecord",
    "Counted",
    "Destination",
    "Enqueued",
    "Filters",
    "Group",
    "Grouping",
    "Health",
    "IdPrefix",
    "Moment",
    "Shown",
    "Standing",
    "Summary",
    "Trouble",
    "Unconfigured",
    "Worker",
    "counted",
    "database_now",
    "enqueued",
    "fingerprint",
    "groups",
    "health",
    "is_known",
    "is_listened_to",
    "living",
    "matching_ids",
    "now_in_transaction",
    "oldest_due",
    "owner",
    "pages",
    "pause_of",
    "server_settings",
    "shown",
    "standing",
]
