"""Every statement of the outbox but the application's own INSERT."""

from outbox.store.backlog import BACKLOG_MOST
from outbox.store.claim import Claimed
from outbox.store.commits import Lost, NotThere
from outbox.store.evidence import Choice
from outbox.store.gates import Gate
from outbox.store.position import Position
from outbox.store.probes import Probe
from outbox.store.purge import Kept, PrimaryKey, start_of
from outbox.store.settle import Settled, Settlement
from outbox.store.store import TROUBLE, Store
from outbox.store.succession import Succession
from outbox.store.work import Place, Work

__all__ = [
    "BACKLOG_MOST",
    "TROUBLE",
    "Choice",
    "Claimed",
    "Gate",
    "Kept",
    "Lost",
    "NotThere",
    "Place",
    "Position",
    "PrimaryKey",
    "Probe",
    "Settled",
    "Settlement",
    "Store",
    "Succession",
    "Work",
    "start_of",
]
