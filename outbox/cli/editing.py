"""What `outbox edit` makes of bodies: changed, checked as `enqueue` checks them, and put in the place of the old ones."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from outbox.cli.bulk import pages
from outbox.cli.changes import NOTHING, Change, Difference, changed, differences, is_unchanged
from outbox.cli.interrupts import Stop
from outbox.errors import EventRefused, OutboxError, OutboxWarning, WrongState
from outbox.message import FailureReason, State
from outbox.settings import Settings

if TYPE_CHECKING:
    from outbox.settings import DestinationSettings
    from outbox.store.edit import Editable, Edited
    from outbox.store.look import Filters
    from outbox.store.transactions import Transactions

_AT_ONCE = 50
"""Messages whose bodies are held in memory, and replaced in one transaction."""

_MOST_TOLD = 20
"""Refused bodies that are named: the others are counted."""


class _Made(NamedTuple):
    """An edited body and what is different in it."""

    edited: Edited
    differences: list[Difference]


class Editor:
    """Makes the same changes in many bodies."""

    def __init__(self, settings: Settings, changes: Sequence[Change]) -> None:
        self._destinations = settings.destinations
        self._changes = changes
        self.refused = 0
        """Bodies that could not be sent as edited, or not be edited."""
        self.unchanged = 0
        """Bodies that are already as they are to be."""

    def words(self, *, values: bool = True) -> list[str]:
        """The options that ask for these changes; values may be personal data."""
        return [word for change in self._changes for word in _option(change, values=values)]

    def exit_code(self) -> int:
        """Say how many were left, and give the exit code: 65 where a body was refused."""
        from outbox.render import line
        from outbox.render.messages import plural

        if self.unchanged:
            line(f"{plural(self.unchanged, 'message')} left: nothing in them would change")
        if self.refused:
            line(f"outbox: {plural(self.refused, 'message')} refused as edited, and left", err=True)
        return EventRefused.exit_code if self.refused else 0

    def replace(self, writes: Transactions, filters: Filters, ids: Sequence[str], stop: Stop) -> Iterator[int]:
        """Edit those that still match, some in each transaction; give how many each time."""
        from outbox.store.edit import replace

        for edited in self._batches(writes, ids):
            yield len(writes.run(replace, filters, edited)) if edited else 0
            if stop.signal is not None:
                return

    def replaced(self, writes: Transactions, filters: Filters, ids: Sequence[str]) -> Iterator[tuple[str, str]]:
        """Edit those that still match; give each old id and the new one."""
        from outbox.store.edit import replace

        for edited in self._batches(writes, ids):
            new = {each.old: str(each.id) for each in edited}
            yield from ((old, new[old]) for old in (writes.run(replace, filters, edited) if edited else ()))

    def refusals(self, looks: Transactions, ids: list[str]) -> list[OutboxError]:
        """Take those out of `ids` that are in no state to be edited, and say why."""
        errors: list[OutboxError] = []
        for each in [each for found in _read(looks, ids) for each in found]:
            if each.state != State.FAILED:
                errors.append(WrongState(f"{each.id} is {each.state}", hint="Only failed messages are edited."))
            elif each.failure_reason == FailureReason.DISCARDED:
                hint = f"`outbox show {each.id}` says whether another has replaced it."
                errors.append(WrongState(f"{each.id} is discarded", hint=hint))
            else:
                continue
            ids.remove(each.id)
        return errors

    def preview(self, looks: Transactions, filters: Filters) -> None:
        """Say what would become of all that match, and show one of them."""
        self._preview(looks, (page.ids for page in pages(looks, filters)))

    def preview_of(self, looks: Transactions, ids: Sequence[str]) -> None:
        """Say what would become of these, and show one of them."""
        self._preview(looks, [ids])

    def _preview(self, looks: Transactions, groups: Iterable[Sequence[str]]) -> None:
        from outbox.render import line
        from outbox.render.messages import plural

        count, sample = 0, None
        for found in chain.from_iterable(_read(looks, ids) for ids in groups):
            for each in found:
                if made := self._make(each):
                    count, sample = count + 1, sample or made
        line(f"{plural(count, 'message')} would be replaced")
        if sample:
            _show(sample)

    def _batches(self, writes: Transactions, ids: Sequence[str]) -> Iterator[list[Edited]]:
        for found in _read(writes, ids):
            yield [made.edited for each in found if (made := self._make(each))]

    def _make(self, found: Editable) -> _Made | None:
        """The edited message; None where it is refused, which is said, or nothing would change."""
        from outbox.render import line

        try:
            made = self._edited(found)
        except (EventRefused, ValueError, RecursionError) as error:
            self.refused += 1
            if self.refused <= _MOST_TOLD:
                line(f"{found.id}: {error}", err=True)
            return None
        self.unchanged += made is None
        return made

    def _edited(self, found: Editable) -> _Made | None:
        from outbox.producer.ids import uuid7
        from outbox.store.edit import Edited

        settings = self._destinations.get(found.destination)
        if settings is None:
            msg = f"destination: {found.destination} is not configured here"
            raise ValueError(msg)
        is_event = settings.kind == "overcentric"
        before = json.loads(found.body)
        after = changed(before, self._changes, is_event=is_event)
        if is_unchanged(before, after):
            return None
        name, body = _encoded(found, after, settings)
        different = differences(before, after, self._changes, is_event=is_event)
        return _Made(Edited(found.id, uuid7(), name, body), different)


def _read(looks: Transactions, ids: Sequence[str]) -> Iterator[list[Editable]]:
    from outbox.store.edit import read_bodies

    for place in range(0, len(ids), _AT_ONCE):
        yield looks.run(read_bodies, ids[place : place + _AT_ONCE])


def _encoded(found: Editable, body: object, settings: DestinationSettings) -> tuple[str, str]:
    """The name and the text of an edited body. Raises `EventRefused`, which holds no personal data.

    Its time stays that of the old one: no property for it is added where the body has none.
    """
    from outbox.destinations import json_body, name_of
    from outbox.event import encode

    if settings.kind != "overcentric":
        name = name_of(body, settings) if settings.kind == "webhook" else found.name
        return name, json_body(body, settings)
    rules = settings.events._replace(occurred_at_property=None)._asdict()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OutboxWarning)
        encoded = encode(body, **rules)  # type: ignore[arg-type]  # what is no object it refuses
    return encoded.name, encoded.body


def _show(sample: _Made) -> None:
    """Show the fields that differ, and no other: a person has asked for them."""
    from outbox.render import line, to_json

    line(f"such as {sample.edited.old}:")
    for path, before, after in sample.differences:
        for mark, value in (("-", before), ("+", after)):
            if value is not NOTHING:
                line(f"  {mark} {path}: {to_json(value)}")


def _option(change: Change, *, values: bool) -> tuple[str, str]:
    path = ".".join(step.replace(".", "\\.") for step in change.path)
    if change.value is NOTHING:
        return "--unset", path
    return "--set", f"{path}={json.dumps(change.value) if values else '…'}"
