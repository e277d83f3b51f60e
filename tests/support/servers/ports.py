"""Ports that stay ours while the server behind them is down."""

from __future__ import annotations

import random
import socket


def free_port() -> int:
    """Find a free port below the kernel's range for outgoing connections.

    A port of that range could be taken, while the server is killed and not yet back, as the source port of any
    connection, even of the one that tries to reach it (a TCP socket can connect to itself).
    """
    for port in random.SystemRandom().sample(range(15_000, 32_000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    msg = "no free port found"
    raise RuntimeError(msg)
