"""Where settings come from. The only reader of the environment.

For each setting, the first of: a flag, `OUTBOX_X`, the file named by `OUTBOX_X_FILE`, the systemd credential
`outbox_x`, the TOML file named by `--config` or `OUTBOX_CONFIG`, the default. Nothing is ever picked up from
the working directory. An empty variable counts as unset.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from outbox.errors import did_you_mean
from outbox.settings.destinations import OWN
from outbox.settings.fields import Settings, variable
from outbox.settings.own import own_variables, read_own
from outbox.settings.sources import ConfigFile, from_credential, from_environment, parsed

_SPECIAL = {"OUTBOX_CONFIG"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each one that is not the default, where its value came from.

    A destination's own setting is named `destinations.crm.rate` among the origins.
    """

    settings: Settings
    origins: Mapping[str, str]


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    config: str | None = None,
    only: Iterable[str] | None = None,
    own: Collection[str] = tuple(OWN),
) -> Loaded:
    """Read the settings.

    `flags` are values from the command line, already parsed; those that are None count as not given.
    `only` limits the reading to some settings, and `own` to some of each destination's, so that an application that
    enqueues does not stumble over a variable that is the worker's. Raises `ConfigurationError`.
    """
    environ = os.environ if environ is None else environ
    chosen: dict[str, Any] = {}
    origins: dict[str, str] = {}
    readings = Settings.readings()
    file = ConfigFile.open(config or environ.get("OUTBOX_CONFIG") or None)
    for name in readings if only is None else only:
        if flags and flags.get(name) is not None:
            chosen[name], origins[name] = flags[name], "flag"
            continue
        key = variable(name)
        text, origin = from_environment(key, environ) or from_credential(key, environ) or file.get(name) or (None, "")
        if text is not None:
            chosen[name], origins[name] = parsed(readings[name], text, origin, key), origin
    return Loaded(Settings(**chosen, own=read_own(environ, file, own, origins)), origins)


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """One sentence for each `OUTBOX_*` variable that means nothing to us: probably a misspelling."""
    environ = os.environ if environ is None else environ
    known = {variable(name) for name in Settings.readings()} | own_variables(environ)
    known |= {f"{name}_FILE" for name in known} | _SPECIAL
    found = sorted(name for name in environ if name.startswith("OUTBOX_") and name not in known)
    return [f"{name} is not a setting of the outbox{did_you_mean(name, known)}" for name in found]
