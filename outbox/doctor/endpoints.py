"""The way to a destination: its name, its port, its certificate. No request is sent, and nobody else is contacted."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Iterator
from urllib.parse import SplitResult, urlsplit

from outbox.delivery.client import system_certificates
from outbox.destinations import DestinationSettings, authority, checked
from outbox.doctor.finding import Finding, ok, problem, warning
from outbox.errors import ConfigurationError

_SECONDS = 5.0
"""For connecting, and then for the handshake."""
_SOON = 14 * 86400.0
"""A certificate that ends sooner is warned of."""

_NETWORK = "See that this host may reach it: name servers, routes, firewalls"


def endpoint(settings: DestinationSettings) -> Iterator[Finding]:
    """Resolve the name, connect, shake hands, hang up."""
    check = f"endpoint {settings.name}"
    try:
        parts = urlsplit(checked(settings.url))
    except ConfigurationError:  # which the check of the settings has told
        return
    if settings.proxy is not None:
        yield ok(check, "is reached through a proxy: not looked at")
        return
    yield from _reach(check, settings, parts)


def _reach(check: str, settings: DestinationSettings, parts: SplitResult) -> Iterator[Finding]:
    host, where = str(parts.hostname), authority(parts)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with socket.create_connection((host, port), timeout=_SECONDS) as connected:
            if parts.scheme == "https":
                yield from _shake_hands(check, settings, connected, host)
            else:
                yield ok(check, f"{where} can be connected to")
    except socket.gaierror as error:
        yield problem(check, f"{host} cannot be resolved: {error.strerror}", f"Check the host name. {_NETWORK}")
    except OSError as error:
        yield problem(check, f"{where} cannot be connected to: {_reason(error)}", _NETWORK)


def _shake_hands(check: str, settings: DestinationSettings, connected: socket.socket, host: str) -> Iterator[Finding]:
    where = settings.variable("ca_file")
    try:
        with _context(settings).wrap_socket(connected, server_hostname=host) as secured:
            certificate = secured.getpeercert() or {}
            version = secured.version()
    except ssl.SSLCertVerificationError as error:
        remedy = f"Repair the certificate; an authority of your own goes into {where}"
        yield problem(check, f"its certificate is not trusted: {error.verify_message}", remedy)
    except OSError as error:
        yield problem(check, f"the TLS handshake fails: {_reason(error)}", "See that this is its port, and speaks TLS")
    else:
        yield _expiry(check, str(certificate["notAfter"]), str(version))


def _expiry(check: str, end: str, version: str) -> Finding:
    """What becomes of a certificate that holds today."""
    seconds = ssl.cert_time_to_seconds(end)
    day = time.strftime("%Y-%m-%d", time.gmtime(seconds))
    if seconds - time.time() < _SOON:
        return warning(
            check, f"its certificate ends on {day}", "Have it renewed before: afterwards nothing is delivered"
        )
    return ok(check, f"{version}, the certificate holds until {day}")


def _context(settings: DestinationSettings) -> ssl.SSLContext:
    """Trust what the worker trusts: the system's authorities, and those of the settings."""
    with system_certificates():
        context = ssl.create_default_context()
    if settings.ca_file is not None:
        context.load_verify_locations(settings.ca_file)
    return context


def _reason(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_SECONDS:g} s"
    reason = getattr(error, "reason", None) or error.strerror or type(error).__name__
    return str(reason)
