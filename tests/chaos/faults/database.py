"""Faults of the database's server."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from chaos.faults.scene import Fault, Scene
from chaos.fleet import Slot
from chaos.plan import Kind
from support.servers import Server
from support.waiting import eventually

_PATIENCE = 60.0
_CRASHES = 0.2
"""The share of PostgreSQL's backends that die by SIGKILL: the server then ends all others and recovers."""


def kill_server(scene: Scene, chance: Random) -> Fault:
    """SIGKILL the server with all its processes, and start it on the same data."""
    with scene.server_lock:
        server, began = _server(scene), time.monotonic()
        server.kill()
        time.sleep(chance.uniform(0.0, 0.5))
        server.start()
        ended = time.monotonic()
    return Fault(Kind.SERVER, began, ended, scene.workers_between(began, ended), scene.everybody, "SIGKILL")


def end_backend(scene: Scene, chance: Random) -> Fault:
    """End one of a worker's connections from the server's side."""
    crash = scene.plan.kind == "postgresql" and chance.random() < _CRASHES
    with scene.server_lock:
        server, began = _server(scene), time.monotonic()
        end = _crash if crash else _terminate
        slot = eventually(lambda: _end_one(scene, server, chance, end), timeout=_PATIENCE)
        ended = time.monotonic()
        assert slot is not None
    if crash:
        return Fault(Kind.BACKEND, began, ended, scene.workers_between(began, ended), scene.everybody, "SIGKILL")
    struck = frozenset(scene.fleet.lived(slot.number, began, ended))
    return Fault(Kind.BACKEND, began, ended, struck, frozenset(), "connection ended")


def _end_one(scene: Scene, server: Server, chance: Random, end: Callable[[Server, int], bool]) -> Slot | None:
    """End one connection of any worker that has one; whose it was."""
    for slot in chance.sample(scene.fleet.slots, len(scene.fleet.slots)):
        backends = _backends(scene, slot.number)
        if backends and end(server, chance.choice(backends)):
            return slot
    return None


def _server(scene: Scene) -> Server:
    assert scene.database.server is not None
    return scene.database.server


def _backends(scene: Scene, slot: int) -> list[int]:
    """The server's own numbers of the connections that a slot's worker has now."""
    server, proxy = _server(scene), scene.worker_proxies[slot]
    if proxy is None:
        ports = _local_ports(scene.fleet.slots[slot].worker.pid, server.port)
    else:
        ports = set(scene.loop.run(proxy.ports()))
    if scene.plan.kind == "postgresql":
        found = server.execute("SELECT pid, client_port FROM pg_stat_activity WHERE client_port IS NOT NULL")
        return [pid for pid, port in found if port in ports]
    found = server.execute("SELECT id, host FROM information_schema.processlist")
    return [number for number, host in found if int(host.rpartition(":")[2] or 0) in ports]


def _terminate(server: Server, backend: int) -> bool:
    """Have the server end a connection; whether it was still there."""
    if server.kind == "postgresql":
        return bool(server.execute(f"SELECT pg_terminate_backend({backend})")[0][0])
    try:
        server.execute(f"KILL CONNECTION {backend}")
    except Exception as error:
        if "Unknown thread id" in str(error):
            return False
        raise
    return True


def _crash(server: Server, backend: int) -> bool:
    """SIGKILL a backend; return when the server has noticed, has recovered, and answers again."""
    try:
        os.kill(backend, signal.SIGKILL)
    except ProcessLookupError:
        return False
    eventually(lambda: not Path(f"/proc/{backend}").exists(), timeout=_PATIENCE)
    return eventually(server._answers, timeout=_PATIENCE)


def _local_ports(pid: int, remote: int) -> set[int]:
    """The local ports of a process's connections to a port."""
    sockets = set()
    with contextlib.suppress(OSError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                sockets.add(str(each.readlink()))
    inodes = {found[1] for each in sockets if (found := re.fullmatch(r"socket:\[(\d+)\]", each))}
    ports = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        local, peer, inode = fields[1], fields[2], fields[9]
        if inode in inodes and int(peer.rpartition(":")[2], 16) == remote:
            ports.add(int(local.rpartition(":")[2], 16))
    return ports
