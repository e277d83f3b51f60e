"""A policy of the application's own, imported by name."""

from __future__ import annotations

import importlib
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from outbox.errors import ConfigurationError, did_you_mean


def imported(where: str) -> Any:
    """Import what `module:name` names. Raises `ConfigurationError`, without what the module's own error said."""
    module, _, name = where.partition(":")
    if not name.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        msg = "OUTBOX_POLICY is not a module and a name in it"
        raise ConfigurationError(msg, hint="Write, for example, OUTBOX_POLICY=shop.delivery:policy")
    found = _module(module)
    if not hasattr(found, name):
        msg = f"OUTBOX_POLICY: the module {module} has no {name}{did_you_mean(name, vars(found))}"
        raise ConfigurationError(msg, hint="Write the name of a Policy that the module makes.")
    return getattr(found, name)


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        msg = f"OUTBOX_POLICY: there is no module {error.name}"
        hint = "Install the package that holds it beside the outbox, or name its folder in PYTHONPATH."
        raise ConfigurationError(msg, hint=hint) from error
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        msg = f"OUTBOX_POLICY: importing {name} raised {type(error).__name__} ({place})"
        raise ConfigurationError(msg, hint=f'See the whole of it with: python -c "import {name}"') from error
