"""A private PgBouncer before a private PostgreSQL, in transaction mode."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import Self

import psycopg

from support.servers.ports import free_port
from support.servers.postgres import PostgresServer
from support.servers.server import USER, ServerFailed, ServerMissing, unprivileged
from support.waiting import eventually

_INI = """
[databases]
* = host=127.0.0.1 port={server} user={user}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
logfile = {home}/log
"""


class PgBouncer:
    """`with PgBouncer(server, size=1) as pooler`: all transactions of a database share `size` connections."""

    def __init__(self, server: PostgresServer, *, size: int) -> None:
        path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
        found = shutil.which("pgbouncer", path=path)
        if found is None:
            msg = "pgbouncer is not installed; apt install pgbouncer"
            raise ServerMissing(msg)
        self.port = free_port()
        self._home = server.home / f"pgbouncer-{self.port}"
        self._home.mkdir()
        (self._home / "ini").write_text(
            _INI.format(server=server.port, user=USER, port=self.port, size=size, home=self._home)
        )
        if identity := unprivileged():
            os.chown(self._home, identity["user"], identity["group"])
        self._command = [found, str(self._home / "ini")]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **unprivileged()
        )
        eventually(self._answers)
        return self

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise ServerFailed(self._command[0], self._home / "log")
        try:
            psycopg.connect(host="127.0.0.1", port=self.port, user=USER, dbname="postgres", autocommit=True).close()
        except psycopg.OperationalError:
            return False
        return True
