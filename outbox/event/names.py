"""Event names: which are reserved, which are the browser's, and what a name may look like."""

from __future__ import annotations

import inspect
import os
import unicodedata
import warnings
from collections.abc import Collection
from pathlib import Path
from typing import Literal, get_args

from outbox.errors import OutboxWarning, did_you_mean
from outbox.event.problems import Problems, quoted

RESERVED_NAMES = frozenset({
    "$signup",
    "$login",
    "$subscription_purchase",
    "$subscription_upgrade",
    "$subscription_downgrade",
    "$subscription_cancel",
})  # fmt: skip
"""Names that feed Overcentric's pre-built reports (Event API page, "Use reserved names for pre-built reports")."""

BROWSER_NAMES = frozenset({
    "$page_view",
    "$click",
    "$error",
    "$identify",
    "$initial_visit",
    "$form_submit",
    "$scroll",
    "$input_focus",
    "$page_visible",
    "$page_hidden",
})  # fmt: skip
"""Names that the browser SDK (0.1.621) emits by itself. The Event API page shows none of them from a server:
sent from there they are counted beside the browser's own, so they are accepted with a warning."""

_BARE_NAMES = frozenset(name.removeprefix("$") for name in RESERVED_NAMES)

Context = Literal["website", "product"]

CONTEXTS: tuple[Context, ...] = get_args(Context)
"""The dashboard that an event belongs to (Event API page: context is either "website" or "product")."""

LONGEST_NAME = 200
"""Characters. The page sets no limit; the outbox indexes and prints names."""

_NO_TEXT = {"Cc", "Cs", "Zl", "Zp"}
_PACKAGE = f"{Path(__file__).parents[1]}{os.sep}"


def check_shape(name: str, field: str, problems: Problems) -> None:
    """Note what no event's name may look like. Custom names need not be snake_case: the page only recommends it."""
    if len(name) > LONGEST_NAME:
        problems.add(field, f"has {len(name)} characters", f"use at most {LONGEST_NAME}; details go into properties")
    elif name != name.strip():
        problems.add(field, f"{quoted(name)} begins or ends with a space", "strip it")
    elif not name.isprintable() and any(unicodedata.category(letter) in _NO_TEXT for letter in name):
        problems.add(field, f"{quoted(name)} holds a control character", "use letters, digits and underscores")


def check_reserved(name: str, allowed: Collection[str], problems: Problems) -> None:
    """Note a `$` name that is neither documented nor allowed by `OUTBOX_ALLOW_NAMES`."""
    if name.startswith("$") and name not in RESERVED_NAMES and name not in BROWSER_NAMES and name not in allowed:
        problems.add(
            "event.name",
            f"{quoted(name)} is not a reserved name{did_you_mean(name, sorted(RESERVED_NAMES | set(allowed)))}",
            "names beginning with $ are Overcentric's own: use one that is documented, drop the $, "
            "or list it in OUTBOX_ALLOW_NAMES",
        )


def warn_about(name: str, allowed: Collection[str]) -> None:
    """Warn, with the line of the caller's code, about a name that is probably not what was meant."""
    if name in BROWSER_NAMES and name not in allowed:
        _warn(f"the browser SDK emits {name} by itself: sent from a server it is counted beside the browser's own")
    elif name in _BARE_NAMES and name not in allowed:
        _warn(f"the event name {name!r} feeds no pre-built report (did you mean ${name}?)")


def _warn(text: str) -> None:
    # `skip_file_prefixes` would do this, from Python 3.12 on.
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, OutboxWarning, stacklevel=level)
