"""The places a value can come from: a variable, the file that one names, a systemd credential, the TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outbox.errors import ConfigurationError, did_you_mean
from outbox.settings.destinations import NAME, OVERCENTRIC, OWN
from outbox.settings.fields import Settings
from outbox.settings.reading import Reading

_TABLE = "destinations"


def from_environment(key: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The value of a variable, or of the file that the variable with `_FILE` names, and which of them it was."""
    value, path = environ.get(key) or None, environ.get(f"{key}_FILE") or None
    if value is not None and path is not None:
        msg = f"{key} and {key}_FILE are both set"
        raise ConfigurationError(msg, hint="Unset one of them.")
    if value is not None:
        return value, key
    return (_read(Path(path), f"{key}_FILE"), f"{key}_FILE") if path is not None else None


def from_credential(key: str, environ: Mapping[str, str]) -> tuple[str, str] | None:
    """The systemd credential of a variable's name in lower case."""
    folder, name = environ.get("CREDENTIALS_DIRECTORY"), key.lower()
    path = Path(folder, name) if folder else None
    if path is None or not _is_there(path):
        return None
    return _read(path, "the systemd credential"), f"systemd credential {name}"


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # of which reading it will tell
        return True


def parsed(reading: Reading, given: Any, origin: str, key: str) -> Any:
    """The value of what was given. `key` is the setting's variable. Raises `ConfigurationError`."""
    try:
        return reading.parse(given)
    except ValueError as error:
        shown = "the value" if reading.secret or len(given) > 40 else f"{given!r}"
        where = origin if key.lower() in origin.lower() else f"{origin}: {key.removeprefix('OUTBOX_').lower()}"
        msg = f"{where}: {shown} cannot be used: {error}"
        example = f"{key}={reading.example}" if origin == key else reading.example
        raise ConfigurationError(msg, hint=f"Write, for example, {example}") from error


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The TOML file: keys are the settings' names in lower case, a table `[destinations.crm]` is a destination."""

    path: str | None
    values: Mapping[str, Any]
    destinations: Mapping[str, Mapping[str, Any]]

    @classmethod
    def open(cls, path: str | None) -> ConfigFile:
        """Read it; None is a file that says nothing. Raises `ConfigurationError`."""
        if path is None:
            return cls(None, {}, {})
        text = _read(Path(path), "--config or OUTBOX_CONFIG")
        try:
            found = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            msg = f"{path} is not valid TOML: {error}"
            raise ConfigurationError(msg, hint='Write one setting a line, such as try_timeout = "5s".') from error
        tables = found.pop(_TABLE, {})
        _check_keys(path, found, Settings.readings())
        _check_tables(path, tables)
        return cls(path, found, tables)

    def get(self, name: str) -> tuple[str, str] | None:
        """A setting's text, and the file's name."""
        if name not in self.values:
            return None
        return _text(self.values[name], ","), f"{self.path}"

    def get_own(self, destination: str, setting: str) -> tuple[Any, str] | None:
        """One setting of a destination as text, or as the table that it may be, and the file's name."""
        table = self.destinations.get(destination, {})
        if setting not in table:
            return None
        value = table[setting]
        if not (setting == "headers" and isinstance(value, dict)):
            value = _text(value, " ")
        return value, f"{self.path}"


def refuse_overcentric(source: str) -> ConfigurationError:
    """What is said where `overcentric` is configured as if it were one of the others."""
    msg = f"{source} is a setting of the destination {OVERCENTRIC}, which takes none of its own"
    return ConfigurationError(msg, hint="Set OUTBOX_ENDPOINT, OUTBOX_RATE and so on: they are its settings.")


def _text(value: Any, separator: str) -> str:
    return separator.join(map(str, value)) if isinstance(value, list) else str(value)


def _check_keys(path: str, found: Mapping[str, Any], known: Mapping[str, Reading]) -> None:
    for key in found:
        if key not in known:
            msg = f"{path}: {key} is not a setting{did_you_mean(key, known)}"
            raise ConfigurationError(msg, hint="`outbox config show` lists them all.")


def _check_tables(path: str, tables: Any) -> None:
    if not isinstance(tables, dict) or not all(isinstance(each, dict) for each in tables.values()):
        msg = f"{path}: {_TABLE} holds something that is no table"
        raise ConfigurationError(
            msg, hint="Write a table for each, such as [destinations.crm], and its settings below."
        )
    for name, table in tables.items():
        if not NAME.fullmatch(name):
            msg = f"{path}: {name!r} cannot be a destination's name"
            raise ConfigurationError(msg, hint="Use up to 64 of a-z, 0-9 and _, with a letter first.")
        if name == OVERCENTRIC:
            where = f"{path}: [{_TABLE}.{name}]"
            raise refuse_overcentric(where)
        for key in table:
            if key not in OWN:
                msg = f"{path}: {key} is not a setting of a destination{did_you_mean(key, OWN)}"
                raise ConfigurationError(msg, hint=f"There are: {', '.join(OWN)}.")


def _read(path: Path, source: str) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        msg = f"{source} names {path}, which cannot be read: {reason}"
        raise ConfigurationError(msg, hint="Check the path and its permissions.") from error
