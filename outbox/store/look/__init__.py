"""What an operator looks at. Reads only: short transactions, no lock that a worker would wait for."""

from outbox.store.look.enqueued import Enqueued, enqueued, owner
from outbox.store.look.filters import NO_ANSWER, Filters, Moment
from outbox.store.look.groups import Group, Grouping, groups
from outbox.store.look.ids import IdPrefix, matching_ids
from outbox.store.look.listing import PAGE, Summary, database_now, now_in_transaction, pages
from outbox.store.look.server import is_listened_to, server_settings
from outbox.store.look.show import AttemptRecord, Shown, shown
from outbox.store.look.status import Destination, Standing, Trouble, Unconfigured, is_known, pause_of, standing
from outbox.store.look.workers import Alive, alive

__all__ = [
    "NO_ANSWER",
    "PAGE",
    "Alive",
    "AttemptRecord",
    "Destination",
    "Enqueued",
    "Filters",
    "Group",
    "Grouping",
    "IdPrefix",
    "Moment",
    "Shown",
    "Standing",
    "Summary",
    "Trouble",
    "Unconfigured",
    "alive",
    "database_now",
    "enqueued",
    "groups",
    "is_known",
    "is_listened_to",
    "matching_ids",
    "now_in_transaction",
    "owner",
    "pages",
    "pause_of",
    "server_settings",
    "shown",
    "standing",
]
