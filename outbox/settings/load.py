"""Where settings come from. The only reader of the environment.

For each setting, the first of: a flag, `OUTBOX_X`, the file named by `OUTBOX_X_FILE`, the systemd credential
`outbox_x`, the TOML file named by `--config` or `OUTBOX_CONFIG`, the default. Nothing is ever picked up from
the working directory. An empty variable counts as unset.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outbox.errors import ConfigurationError, did_you_mean
from outbox.settings.fields import Settings, variable

_SPECIAL = {"OUTBOX_CONFIG"}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Settings, and for each one that is not the default, where its value came from."""

    settings: Settings
    origins: Mapping[str, str]


def load(
    flags: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
    *,
    config: str | None = None,
    only: Iterable[str] | None = None,
) -> Loaded:
    """Read the settings.

    `flags` are values from the command line, already parsed; those that are None count as not given.
    `only` limits the reading to some settings, so that an application that enqueues does not stumble over
    a variable that is the worker's. Raises `ConfigurationError`.
    """
    environ = os.environ if environ is None else environ
    chosen: dict[str, Any] = {}
    origins: dict[str, str] = {}
    readings = Settings.readings()
    file = _Config.open(config or environ.get("OUTBOX_CONFIG") or None)
    for name in readings if only is None else only:
        if flags and flags.get(name) is not None:
            chosen[name], origins[name] = flags[name], "flag"
            continue
        text, origin = (
            _from_environment(name, environ) or _from_credential(name, environ) or file.get(name) or (None, "")
        )
        if text is not None:
            chosen[name], origins[name] = _parse(name, text, origin), origin
    return Loaded(Settings(**chosen), origins)


def unknown_variables(environ: Mapping[str, str] | None = None) -> list[str]:
    """One sentence for each `OUTBOX_*` variable that means nothing to us: probably a misspelling."""
    environ = os.environ if environ is None else environ
    known = {variable(name) for name in Settings.readings()}
    known |= {f"{name}_FILE" for name in known} | _SPECIAL
    found = sorted(name for name in environ if name.startswith("OUTBOX_") and name not in known)
    return [f"{name} is not a setting of the outbox{did_you_mean(name, known)}" for name in found]


def _from_environment(name: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    key = variable(name)
    value, path = environ.get(key) or None, environ.get(f"{key}_FILE") or None
    if value is not None and path is not None:
        msg = f"{key} and {key}_FILE are both set"
        raise ConfigurationError(msg, hint="Unset one of them.")
    if value is not None:
        return value, key
    return (_read(Path(path), f"{key}_FILE"), f"{key}_FILE") if path is not None else None


def _from_credential(name: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    folder = environ.get("CREDENTIALS_DIRECTORY")
    path = Path(folder, f"outbox_{name}") if folder else None
    if path is None or not path.is_file():
        return None
    return _read(path, "the systemd credential"), f"systemd credential outbox_{name}"


def _read(path: Path, source: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        msg = f"{source} names {path}, which cannot be read: {reason}"
        raise ConfigurationError(msg, hint="Check the path and its permissions.") from error


def _parse(name: str, text: str, origin: str) -> Any:
    reading = Settings.readings()[name]
    try:
        return reading.parse(text)
    except ValueError as error:
        shown = f"{text!r}" if len(text) <= 40 else "the value"
        msg = f"{origin}: {shown} cannot be used: {error}"
        example = f"{variable(name)}={reading.example}" if origin == variable(name) else reading.example
        raise ConfigurationError(msg, hint=f"Write, for example, {example}") from error


@dataclass(frozen=True, slots=True)
class _Config:
    """The TOML file: keys are the settings' names in lower case (`try_timeout = "5s"`)."""

    path: str | None
    values: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | None) -> _Config:
        if path is None:
            return cls(None, {})
        text = _read(Path(path), "--config or OUTBOX_CONFIG")
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            msg = f"{path} is not valid TOML: {error}"
            raise ConfigurationError(msg, hint='Write one setting a line, such as try_timeout = "5s".') from error
        known = Settings.readings()
        for key in found:
            if key not in known:
                msg = f"{path}: {key} is not a setting{did_you_mean(key, known)}"
                raise ConfigurationError(msg, hint="`outbox config show` lists them all.")
        return cls(path, found)

    def get(self, name: str) -> tuple[str, str] | None:
        if name not in self.values:
            return None
        value = self.values[name]
        text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
        return text, f"{self.path}"
