"""nginx as a sink: its own configuration in a temporary folder, one worker process, nothing logged."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.request import urlopen

from support.servers.ports import free_port
from support.servers.watchdog import Watchdog
from support.waiting import eventually

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 8192; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location = /status {{ stub_status; }}
    location / {{ return 200; }}
  }}
}}
"""


def program() -> str | None:
    """Where nginx is, if the machine has it."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin"])
    return shutil.which("nginx", path=path)


def version(found: str) -> str:
    """Its version, `nginx 1.22.1`."""
    said = subprocess.run([found, "-v"], capture_output=True, text=True, check=True).stderr
    return said.strip().rpartition(" ")[2].replace("/", " ")


@dataclass
class Nginx:
    """A running one."""

    port: int
    _looks: int = 0

    @property
    def url(self) -> str:
        """Where events are POSTed."""
        return f"http://127.0.0.1:{self.port}/api/v1/event"

    def count(self) -> int:
        """Requests so far, without those that asked for the count."""
        with urlopen(f"http://127.0.0.1:{self.port}/status", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        self._looks += 1
        return int(lines[2].split()[2]) - self._looks


@contextmanager
def serving(found: str) -> Iterator[Nginx]:
    """Run it until the block ends; it also ends when this process dies, however it dies."""
    folder, port = Path(tempfile.mkdtemp(prefix="outbox-nginx-")), free_port()
    user = "user root;" if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(_CONFIGURATION.format(user=user, folder=folder, port=port))
    watchdog = Watchdog(folder, signal.SIGTERM)
    command = [found, "-p", str(folder), "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watchdog.guard(process.pid)
    server = Nginx(port)
    try:
        eventually(lambda: _answers(server), timeout=10)
        yield server
    finally:
        process.terminate()
        process.wait(timeout=10)
        watchdog.guard(None)
        watchdog.dismiss()


def _answers(server: Nginx) -> bool:
    try:
        server.count()
    except OSError:
        return False
    return True
