"""`outbox edit`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from outbox.cli.audit import put_on_record
from outbox.cli.bulk import Bulk, How, bulk_options, change_many, exit_code, is_bulk, require_asking
from outbox.cli.changes import NOTHING, Change, parse_path, parse_value
from outbox.cli.editing import Editor
from outbox.cli.filters import filter_options
from outbox.cli.ids import IdType, complain, the_ones
from outbox.cli.options import settings_options
from outbox.errors import WrongState
from outbox.message import State
from outbox.settings import Loaded

if TYPE_CHECKING:
    from outbox.store.engine import Engine
    from outbox.store.look import Filters, IdPrefix


class _SetType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A field and its new value."""

    name = "change"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Change:
        """Read `properties.plan=pro`."""
        path, equals, text = str(value).partition("=")
        if not equals:
            self.fail(f"{path!r}: expected PATH=VALUE, such as properties.plan=pro", param, ctx)
        try:
            return Change(parse_path(path), parse_value(text))
        except (ValueError, RecursionError) as error:
            self.fail(f"{path!r}: {error}", param, ctx)


class _PathType(click.ParamType):  # type: ignore[type-arg]  # generic only in newer releases of click
    """A field that is to go."""

    name = "path"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Change:
        """Read `properties.plan`."""
        try:
            return Change(parse_path(str(value)), NOTHING)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


@click.command()
@click.argument("wanted", type=IdType(), nargs=-1, metavar="[ID...]")
@click.option(
    "--set", "sets", type=_SetType(), multiple=True, metavar="PATH=VALUE", help="Give a field a value: JSON, or text."
)
@click.option("--unset", "unsets", type=_PathType(), multiple=True, metavar="PATH", help="Remove a field.")
@filter_options(state=State.FAILED)
@bulk_options
@settings_options("database_url")
def edit(
    *,
    loaded: Loaded,
    wanted: tuple[IdPrefix, ...],
    sets: tuple[Change, ...],
    unsets: tuple[Change, ...],
    filters: Filters,
    how: How,
) -> int:
    """Send failed messages with other bodies: those with the given ids, or all that match the filters.

    PATH is a field of the event, such as properties.plan, or begins with event or identity; of a webhook's body it begins
    at the top. Other bytes are another message: a new one with an id of its own, pending and due now, takes the place of
    the old one, which is discarded and names it. What an edited body is refused for is said, and nothing is written of it.
    """
    from outbox.store.opened import opened

    if not (sets or unsets):
        msg = "What is to change? Give --set PATH=VALUE or --unset PATH"
        raise click.UsageError(msg)
    bulk = is_bulk(wanted, filters, how)
    if bulk:
        require_asking(how)
    editor = Editor(loaded.settings, (*unsets, *sets))
    with opened(loaded.settings.database_url) as engine:
        if bulk:
            return _edit_many(engine, loaded, editor, filters, how)
        return _edit_some(engine, loaded, editor, wanted, how)


def _edit_many(engine: Engine, loaded: Loaded, editor: Editor, filters: Filters, how: How) -> int:
    from outbox.render import line
    from outbox.render.messages import plural

    bulk = Bulk(
        command=["outbox", "edit", *editor.words()],
        audited=["outbox", "edit", *editor.words(values=False)],
        title="Editing",
        question="Send edited ones in their place?",
        passes=lambda some: [(some, editor.replace)],
        preview=editor.preview,
    )
    wanted = replace(filters, undiscarded=filters.failure_reason is None)
    tally = change_many(engine, loaded.settings, bulk, wanted, how)
    if tally is None:
        return editor.exit_code()
    line(f"{plural(tally.done, 'message')} replaced by edited ones, due now")
    return max(exit_code(tally, told=editor.unchanged + editor.refused), editor.exit_code())


def _edit_some(engine: Engine, loaded: Loaded, editor: Editor, wanted: Sequence[IdPrefix], how: How) -> int:
    """Of several ids those that can be are edited."""
    from outbox.render import line
    from outbox.render.messages import plural
    from outbox.store.look import Filters
    from outbox.store.transactions import Transactions

    ids, errors = the_ones(engine, wanted)
    texts = [str(each) for each in ids]
    filters = Filters(state=State.FAILED, undiscarded=True)
    with closing(Transactions(engine)) as transactions:
        errors += editor.refusals(transactions, texts)
        if how.dry_run:
            editor.preview_of(transactions, texts)
        else:
            put_on_record(loaded.settings, "outbox edit", ids, how.reason)
            replaced = dict(editor.replaced(transactions, filters, texts))
            for old, new in replaced.items():
                line(f"{old} is replaced by {new}, which is pending, due now")
            if left := len(texts) - len(replaced) - editor.refused - editor.unchanged:
                errors.append(WrongState(f"{plural(left, 'message')} changed meanwhile: `outbox show ID` tells how"))
    return max(complain(errors), editor.exit_code())
