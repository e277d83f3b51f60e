"""Forget: find every trace of a person, and erase it.

Along the primary keys, a page at a time, without a lock; the text is searched by the database, and what it finds is looked
at exactly here. What is erased stays as a row without personal data, so that counts and keys against duplicates stay right.
"""

from outbox.store.forget.erase import erase, erase_records, still_there
from outbox.store.forget.find import KeyTrace, MessageTrace, Page, RecordTrace, find_keys, find_messages, find_records
from outbox.store.forget.traces import Erased, Traces, erase_all, search

__all__ = [
    "Erased",
    "KeyTrace",
    "MessageTrace",
    "Page",
    "RecordTrace",
    "Traces",
    "erase",
    "erase_all",
    "erase_records",
    "find_keys",
    "find_messages",
    "find_records",
    "search",
    "still_there",
]
