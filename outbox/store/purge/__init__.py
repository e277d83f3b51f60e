"""Purge: take away what is older than it is to be kept, a page of a primary key at a time.

A page is looked for without a lock; what is old is then locked, judged again, and taken away. What somebody else has locked
is left for the next time, so that nobody waits for a purge and a purge waits for nobody.
"""

from outbox.store.purge.kept import Kept, Page, PrimaryKey
from outbox.store.purge.pages import PAGE, find, remove, start_of
from outbox.store.purge.times import END, id_of

__all__ = ["END", "PAGE", "Kept", "Page", "PrimaryKey", "find", "id_of", "remove", "start_of"]
