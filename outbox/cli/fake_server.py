"""`outbox fake-server`."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import sys
import time
from typing import Any

import click

from outbox.errors import ConfigurationError
from outbox.render import line
from outbox.testing import PATH, FakeServer, Received, Script, parse

_FLUSH = 0.05
"""Seconds for which lines gather before they are written: a write for each line would be the bottleneck."""

_GRAMMAR = """\b
Scripts (rules apart by ';', steps in turn apart by ',', 'ok' validates as documented):
  503 x2, 200                     two 503, then 200 for ever
  per-key: 503 x2, ok             so for each idempotency key
  cycle: ok x9, 429 retry-after=2 every tenth
  10%: 500 delay=1s..3s, 2%: reset  by chance
  name=bad_*: 400; delay=50ms     by event name (or key=...), and all others late
Steps: ok, 200 to 599, reset, reset-early, reset-mid, close, close-mid, hang, garbage,
  trickle, endless-headers, endless-body, endless-1xx
Options of a step: delay=2s, retry-after=30, retry-after-date=30s, location=URL, size=1MiB, every=200ms
"""


@click.command(epilog=_GRAMMAR)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8025, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes any free one."
)
@click.option("--script", "scripts", multiple=True, metavar="TEXT", help="How to answer; repeat for further rules.")
@click.option("--record", metavar="FILE", type=click.Path(dir_okay=False), help="Append each POST as a line of JSON.")
@click.option("--seed", type=int, help="Make chances repeatable.")
@click.option("--any-path", is_flag=True, help="Take events at every path, not only /api/v1/event.")
@click.option("--allow-remote", is_flag=True, help="Listen on an address that others can reach.")
@click.option("--quiet", is_flag=True, help="No line for each event.")
def fake_server(
    *, scripts: tuple[str, ...], seed: int | None, any_path: bool, allow_remote: bool, quiet: bool, **options: Any
) -> None:
    """Run a scripted Event API on this machine.

    It validates bodies as the Event API page documents them, answers as scripted, and shows what arrives.
    SIGINT or SIGTERM ends it with a line of counts.
    """
    if not allow_remote and not _is_loopback(options["host"]):
        msg = f"{options['host']} can be reached from other machines. Give --allow-remote if that is meant."
        raise click.BadParameter(msg, param_hint="--host")
    server = FakeServer(_script(scripts, seed), keep=0, path=None if any_path else PATH, **options)
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(_serve(server, _Printer(quiet=quiet)))


async def _serve(server: FakeServer, printer: _Printer) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    server.on_failure = ended.set
    server.on_received = printer.received
    async with server:
        printer.say(f"OUTBOX_ENDPOINT={server.url}")
        printer.flush()
        await ended.wait()
    printer.say(_counts(server))
    printer.flush()
    if server.failure is not None:
        raise server.failure


def _counts(server: FakeServer) -> str:
    accepted, keys = server.accepted, server.keys
    repeated = sum(accepted.values()) - len(accepted)
    answers = " ".join(f"{answer}={count}" for answer, count in sorted(server.answers.items()))
    parts = [
        f"received {server.count}",
        f"distinct keys {len(keys)}",
        f"accepted {len(accepted)}",
        f"duplicates {repeated}",
        f"without key {server.count - keys.total()}" if server.count != keys.total() else "",
        f"keys with different bytes {len(server.changed)}" if server.changed else "",
        f"answers {answers}" if answers else "",
    ]
    return ", ".join(part for part in parts if part)


class _Printer:
    """Writes lines in groups, and stops quietly when nobody reads them any more."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._lines: list[str] = []

    def received(self, received: Received) -> None:
        """Say what arrived and how it was answered."""
        if self._quiet:
            return
        if not self._lines:
            asyncio.get_running_loop().call_later(_FLUSH, self.flush)
        self._lines.append(_line(received))

    def say(self, text: str) -> None:
        """Say something, quiet or not."""
        self._lines.append(text)

    def flush(self) -> None:
        """Write what has gathered."""
        lines, self._lines = self._lines, []
        if not lines or sys.stdout is None:
            return
        try:
            sys.stdout.write("\n".join(lines) + "\n")
            sys.stdout.flush()
        except OSError as error:
            # Python would complain once more when it flushes stdout at its end.
            sys.stdout = None
            self._quiet = True
            if not isinstance(error, BrokenPipeError):
                line(f"outbox: standard output cannot be written: {error.strerror}; serving goes on", err=True)


def _line(received: Received) -> str:
    clock = time.strftime("%H:%M:%S", time.localtime(received.at)) + f".{int(received.at * 1000) % 1000:03}"
    name = "-" if received.name is None else _harmless(received.name, 60)
    key = "-" if received.key is None else _harmless(received.key, 60)
    problems = "; ".join(f"{problem.field} {problem.problem}" for problem in received.problems)
    return f"{clock}  {name:<28} {key:<36}  {received.answer}{'  ' if problems else ''}{_harmless(problems, 200)}"


def _harmless(text: str, limit: int) -> str:
    """The text with what could steer a terminal written as escapes, cut to `limit` characters."""
    shown = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode("ascii") for each in shown)


def _script(scripts: tuple[str, ...], seed: int | None) -> Script:
    try:
        return parse(*scripts, seed=seed)
    except ConfigurationError as error:
        raise click.BadParameter(str(error), param_hint="--script") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
