"""Which files secrets were read from."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

from outbox.settings.destinations import OWN
from outbox.settings.fields import Settings
from outbox.settings.load import Loaded

_PASSWORD = re.compile(r"://[^/@]*:[^/]+@|[?&]\w*pass\w*=", re.IGNORECASE)


def secret_files(loaded: Loaded, environ: Mapping[str, str] | None = None) -> list[Path]:
    """The configuration file, and those that `OUTBOX_*_FILE` variables name, where a secret came from them.

    Not systemd's credentials, which systemd keeps from others.
    """
    environ = os.environ if environ is None else environ
    found = (_path(origin, environ) for name, origin in loaded.origins.items() if _is_secret(name, loaded.settings))
    return sorted({path for path in found if path is not None})


def _path(origin: str, environ: Mapping[str, str]) -> Path | None:
    if origin.endswith("_FILE") and origin in environ:
        return Path(environ[origin])
    if origin == "flag" or origin in environ or origin.startswith("systemd credential "):
        return None
    return Path(origin)


def _is_secret(name: str, settings: Settings) -> bool:
    """Whether a setting, as `Loaded.origins` names it, holds one."""
    if name == "database_url":
        return bool(_PASSWORD.search(settings.database_url))
    own = name.rpartition(".")[2] if name.startswith("destinations.") else None
    reading = Settings.readings()[name] if own is None else OWN[own]
    return reading.secret
