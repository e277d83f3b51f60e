"""Where units go, and how they get there: all of them or none, and never over what somebody has changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from outbox.errors import OutboxError
from outbox.service.systemd.units import DROP_IN

_PRIVATE = [Path("/tmp"), Path("/var/tmp")]  # noqa: S108 - named because `PrivateTmp=yes` hides them


@dataclass(frozen=True, slots=True)
class Place:
    """The two folders of a service manager that concern us."""

    units: Path
    settings: Path
    """Where the units look for `worker.env` and for `credentials`."""
    is_here: bool
    """Whether it is this machine's own, and not below a folder for another."""

    @classmethod
    def of(cls, root: Path, *, user: bool) -> Self:
        """The folders of the machine's service manager or, for a `user`, of this user's; all below `root`."""
        config = Path.home() / ".config" if user else Path("/etc")
        below = root / config.relative_to("/")
        return cls(below / "systemd" / ("user" if user else "system"), below / "outbox", root == Path("/"))

    @property
    def credentials(self) -> Path:
        """The folder of secrets, each a file that is named as the setting is."""
        return self.settings / "credentials"

    def write(self, files: Mapping[str, str], *, force: bool) -> list[tuple[Path, bool]]:
        """Write units; give each one's path and whether it changed. Raises `OutboxError`, before anything is written.

        One that is there with other text is overwritten only by `force`.
        """
        found = {name: self._read(name) for name in files}
        differing = [self.units / name for name, text in files.items() if found[name] not in {None, text}]
        if differing and not force:
            msg = f"{differing[0]} is there and differs"
            hint = "Put changes into a drop-in (`systemctl edit`) and run this again with --force."
            raise OutboxError(msg, hint=hint)
        for name, text in files.items():
            if found[name] != text:
                _write(self.units / name, text)
        return [(self.units / name, found[name] != text) for name, text in files.items()]

    def make_credentials(self) -> bool:
        """Make the folder of secrets, for its owner alone; whether it was not there. Raises `OutboxError`."""
        if self.credentials.is_dir():
            return False
        with _explained(self.credentials):
            self.credentials.mkdir(parents=True, mode=0o700)
        return True

    def left_over(self, files: Iterable[str]) -> Path | None:
        """The drop-in for SQLite of an earlier time, which would still count."""
        path = self.units / DROP_IN
        return path if DROP_IN not in files and path.exists() else None

    def _read(self, name: str) -> str | None:
        path = self.units / name
        with _explained(path, "read"):
            return path.read_text(encoding="utf-8") if path.exists() else None


def is_private(path: Path) -> bool:
    """Whether `PrivateTmp=yes` hides a path."""
    return any(path.is_relative_to(private) for private in _PRIVATE)


def closed(path: Path) -> Path | None:
    """The folder that keeps other users from a path, if one does."""
    return next((folder for folder in (path, *path.parents) if not folder.stat().st_mode & 0o001), None)


def _write(path: Path, text: str) -> None:
    """Replace a file in one step: the service manager never reads half of it."""
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with _explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            new.write_text(text, encoding="utf-8")
            new.chmod(0o644)
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)


@contextlib.contextmanager
def _explained(path: Path, verb: str = "written") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{path} cannot be {verb}: {error.strerror}"
        hint = (
            "Run it as root, or with --user for your own service manager." if isinstance(error, PermissionError) else ""
        )
        raise OutboxError(msg, hint=hint) from error
