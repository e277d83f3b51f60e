"""The units: a template of which each instance is a worker, a target that stands for all of them, and a drop-in for SQLite."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from outbox._version import __version__
from outbox.service.systemd.watch import START_SECONDS

TEMPLATE = "outbox-worker@.service"
TARGET = "outbox-workers.target"
DROP_IN = f"{TEMPLATE}.d/sqlite.conf"

WATCHDOG_SECONDS = 90
"""A worker comes round every second. While its database takes everything and answers nothing a round takes up to 30 s."""

_HOMES = [Path("/") / name for name in ("home", "root", "run/user")]


@dataclass(frozen=True, slots=True)
class SqliteFile:
    """The application's file, and the user who owns it: whoever else wrote to it would lock the application out."""

    path: Path
    user: str | None
    """None in a user's own service manager: it is that user."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What the units are written for."""

    command: tuple[str, ...]
    """The program and its arguments, by absolute path."""
    workers: int
    stop_seconds: int
    """How long a worker may take to stop."""
    drain_timeout: str | None = None
    """`OUTBOX_DRAIN_TIMEOUT` where it is not the default."""
    at_home: bool = False
    """Whether the program lies in somebody's home."""
    sqlite: SqliteFile | None = None


def system_units(plan: Plan) -> dict[str, str]:
    """The files for the machine's service manager, by their names below its folder."""
    units = {
        TEMPLATE: _template(plan, "/etc/outbox", _SYSTEM, wanted_by="multi-user.target", waits_for_network=True),
        TARGET: _target(plan, "multi-user.target"),
    }
    return units | ({} if plan.sqlite is None else {DROP_IN: _system_drop_in(plan.sqlite)})


def user_units(plan: Plan) -> dict[str, str]:
    """The files for a user's own service manager, which can neither change users nor hide folders."""
    units = {
        TEMPLATE: _template(plan, "%E/outbox", _USER, wanted_by="default.target", waits_for_network=False),
        TARGET: _target(plan, "default.target"),
    }
    return units | ({} if plan.sqlite is None else {DROP_IN: _user_drop_in(plan.sqlite)})


def is_at_home(path: Path) -> bool:
    """Whether a path lies where `ProtectHome=yes` hides it."""
    return any(path.is_relative_to(home) for home in _HOMES)


def _template(plan: Plan, folder: str, confined: str, *, wanted_by: str, waits_for_network: bool) -> str:
    network = (
        "Wants=network-online.target\nAfter=network-online.target postgresql.service mariadb.service mysql.service\n"
    )
    drain = "" if plan.drain_timeout is None else f"Environment=OUTBOX_DRAIN_TIMEOUT={plan.drain_timeout}\n"
    return f"""\
{_HEADER}
[Unit]
Description=Outbox worker %i
PartOf={TARGET}
{network if waits_for_network else ""}# A worker that failed is started again however often: what it lacks may be back in an hour.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={" ".join(_argument(each) for each in plan.command)} worker
# Settings, a line each: OUTBOX_CONCURRENCY=128
EnvironmentFile=-{folder}/worker.env
# Secrets, a file each, named as the setting is: database_url is OUTBOX_DATABASE_URL.
LoadCredential=outbox:{folder}/credentials
{drain}
# It is ready when its database is: until then it asks for more time, each time that it has tried.
TimeoutStartSec={START_SECONDS}
# A worker that does not come round any more falls silent, and is killed and started again.
WatchdogSec={WATCHDOG_SECONDS}
# SIGTERM: it finishes what is in flight (OUTBOX_DRAIN_TIMEOUT), records it, and gives back the rest.
KillMode=mixed
TimeoutStopSec={plan.stop_seconds}
Restart=always
RestartSec=5
# 78: the configuration is wrong. To start again would not help.
RestartPreventExitStatus=78

MemoryHigh=512M
MemoryMax=1G
TasksMax=512
LimitNOFILE=65536
# A core would hold people's data and passwords.
LimitCORE=0

{confined.replace("PROTECT_HOME", "read-only" if plan.at_home else "yes")}
[Install]
WantedBy={wanted_by}
DefaultInstance=1
"""


def _target(plan: Plan, wanted_by: str) -> str:
    workers = " ".join(TEMPLATE.replace("@", f"@{number}") for number in range(1, plan.workers + 1))
    return f"""\
{_HEADER}
[Unit]
Description=Outbox workers
Wants={workers}

[Install]
WantedBy={wanted_by}
"""


def _system_drop_in(file: SqliteFile) -> str:
    folder = file.path.parent
    home = "ProtectHome=read-only\n" if is_at_home(folder) else ""
    return f"""\
{_HEADER}
[Service]
{_url(file)}
# The application's own user: a file that somebody else had made beside it would be closed to the application.
DynamicUser=no
User={file.user}
# SQLite writes its journal beside the file.
ReadWritePaths={_word(str(folder))}
{home}"""


def _user_drop_in(file: SqliteFile) -> str:
    return f"{_HEADER}\n[Service]\n{_url(file)}\n"


def _url(file: SqliteFile) -> str:
    return f"Environment={_word(f'OUTBOX_DATABASE_URL=sqlite:///{file.path}')}"


def _word(text: str) -> str:
    """One word of a setting: specifiers mean themselves, and spaces do not part it."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return plain if re.fullmatch(r"[\w@%+=:,./-]+", text, re.ASCII) else f'"{plain}"'


def _argument(text: str) -> str:
    """One word of a command line, where variables would be put in, too."""
    return _word(text).replace("$", "$$")


_HEADER = f"""\
# Written by `outbox systemd install`, outbox {__version__}. It would be overwritten: put changes into a drop-in,
# with `systemctl edit`.
"""

_CONFINED = """\
NoNewPrivileges=yes
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077
"""
"""What a process may give up without a right of its own."""

_USER = _CONFINED

_SYSTEM = f"""\
# A user that is there while a worker is, the same for all of them: `outbox` for a database that asks the system who it is.
DynamicUser=yes
User=outbox
StateDirectory=outbox
StateDirectoryMode=0700
WorkingDirectory=%S/outbox

{_CONFINED}CapabilityBoundingSet=
AmbientCapabilities=
DevicePolicy=closed
KeyringMode=private
PrivateDevices=yes
PrivateMounts=yes
PrivateTmp=yes
PrivateUsers=yes
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHome=PROTECT_HOME
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
ProtectSystem=strict
RemoveIPC=yes
"""
