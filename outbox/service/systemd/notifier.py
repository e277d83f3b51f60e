"""What sd_notify(3) does: lines of `NAME=value` in a datagram to the service manager's socket."""

from __future__ import annotations

import socket

_SECONDS = 0.2
"""How long one may take. The manager reads at once, and its queue is long: it is never full but where nobody reads."""


class Notifier:
    """Tells the service manager. That it cannot be told is never a reason to stop delivering."""

    def __init__(self, address: str) -> None:
        """`address`: a path, or a name in the abstract namespace behind an @."""
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(_SECONDS)

    def tell(self, *lines: str) -> bool:
        """Send one datagram; whether it was taken."""
        try:
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError:
            return False
        return True

    def close(self) -> None:
        """Give the socket back."""
        self._socket.close()
