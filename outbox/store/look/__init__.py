"""What an operator looks at. Reads only: short transactions, no lock that a worker would wait for."""

from outbox.store.look.filters import NO_ANSWER, Filters, Moment
from outbox.store.look.groups import Group, Grouping, groups
from outbox.store.look.ids import IdPrefix, matching_ids
from outbox.store.look.listing import PAGE, Summary, database_now, pages
from outbox.store.look.show import AttemptRecord, Shown, shown
from outbox.store.look.status import Destination, Standing, Trouble, Unconfigured, is_known, standing

__all__ = [
    "NO_ANSWER",
    "PAGE",
    "AttemptRecord",
    "Destination",
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
    "database_now",
    "groups",
    "is_known",
    "matching_ids",
    "pages",
    "shown",
    "standing",
]
