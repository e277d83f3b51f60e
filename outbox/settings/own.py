"""What destinations are told for themselves: found by the variables, credentials and tables that name them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from outbox.settings.destinations import NAME, OVERCENTRIC, OWN, own_variable
from outbox.settings.sources import ConfigFile, from_credential, from_environment, parsed, refuse_overcentric

_VARIABLE = re.compile(rf"OUTBOX_DESTINATION_(.+)_({'|'.join(OWN)})(_FILE)?".upper())


def read_own(
    environ: Mapping[str, str], file: ConfigFile, settings: Collection[str], origins: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Every destination's own settings, by its name; origins are noted as `destinations.crm.rate`.

    `settings` are the ones that are read. Raises `ConfigurationError`.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in _names(environ, file):
        told = found[name] = {}
        for setting in (each for each in OWN if each in settings):
            key = own_variable(name, setting)
            given, origin = (
                from_environment(key, environ)
                or from_credential(key, environ)
                or file.get_own(name, setting)
                or (None, "")
            )
            if given is not None:
                told[setting] = parsed(OWN[setting], given, origin, key)
                origins[f"destinations.{name}.{setting}"] = origin
    return found


def own_variables(environ: Mapping[str, str]) -> set[str]:
    """Every variable that could be set of the destinations that variables name."""
    return {own_variable(name, setting) for name in set(_named(environ)) for setting in OWN}


def _names(environ: Mapping[str, str], file: ConfigFile) -> list[str]:
    """In the order of the alphabet: variables have none."""
    given = {key for key, value in environ.items() if value}
    folder = environ.get("CREDENTIALS_DIRECTORY")
    if folder and Path(folder).is_dir():
        given |= {path.name.upper() for path in Path(folder).iterdir() if path.name.islower()}
    names = {*_named(given), *file.destinations}
    if OVERCENTRIC in names:
        raise refuse_overcentric(next(key for key in sorted(given) if OVERCENTRIC in _named([key])))
    return sorted(names)


def _named(variables: Collection[str] | Mapping[str, str]) -> Iterator[str]:
    for key in variables:
        found = _VARIABLE.fullmatch(key)
        if found is not None and NAME.fullmatch(found[1].lower()):
            yield found[1].lower()
