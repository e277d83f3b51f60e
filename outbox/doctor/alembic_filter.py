"""Whether an application's own alembic would drop the outbox's tables."""

from __future__ import annotations

import configparser
from collections.abc import Iterator
from pathlib import Path

from outbox.doctor.finding import Finding, ok, warning

_CHECK = "alembic"
_HEEDS = ("outbox.alembic", "outbox.migrate", "outbox_")
"""What an `env.py` holds that leaves our tables alone: our filter, our own migrations, or a filter by their names."""

_REMEDY = (
    "In env.py: from outbox.alembic import include_name, and context.configure(…, include_name=include_name), "
    "unless it works on another database"
)


def alembic_filter(folder: Path, given: Path | None) -> Iterator[Finding]:
    """Read the text of the `env.py` that an `alembic.ini` leads to; nothing of it is run."""
    ini = folder / "alembic.ini" if given is None else given
    if given is None and not ini.is_file():
        return
    try:
        script = _script(ini, folder)
        text = script.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        yield warning(
            _CHECK, f"{ini} leads to no env.py that can be read: {reason}", "Name the application's alembic.ini"
        )
        return
    if any(word in text for word in _HEEDS):
        yield ok(_CHECK, f"{script} leaves the outbox's tables alone")
    else:
        text = f"{script} knows nothing of the outbox: `alembic revision --autogenerate` would write DROP TABLE for its tables"
        yield warning(_CHECK, text, _REMEDY)


def _script(ini: Path, folder: Path) -> Path:
    """The `env.py` of an `alembic.ini`, as alembic finds it from the working directory."""
    parser = configparser.ConfigParser(defaults={"here": str(ini.absolute().parent)})
    with ini.open(encoding="utf-8") as file:
        parser.read_file(file)
    return folder / parser.get("alembic", "script_location") / "env.py"
