"""`outbox demo`."""

from __future__ import annotations

import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from outbox.demo.tour import Tour
    from outbox.demo.verdict import Verdict

_LEAST, _MOST = 50, 5000
"""With fewer events there is no middle in which to kill a worker and to take the destination down; more of them only
take longer, for the destination is slow on purpose."""


@click.command()
@click.option("--events", type=click.IntRange(_LEAST, _MOST), default=500, show_default=True, help="Events to write.")
@click.option("--seed", type=int, help="Draw the same visits and the same faults again.")
@click.option("--keep", is_flag=True, help="Keep the folder with the database, the record and the logs.")
@click.option("--json", "as_json", is_flag=True, help="The verdict as one JSON object; the story goes to stderr.")
def demo(*, events: int, seed: int | None, keep: bool, as_json: bool) -> int:
    """Show the whole promise at work, on SQLite.

    A shop writes orders and events, some of them rolled back. A worker delivers the events to a destination that fails
    at times; it is killed with SIGKILL and started again. At the end what was committed is compared with what arrived:
    the exit code is 1 if the promise did not hold.

    All in a temporary folder, between processes of this machine, in well under a minute.
    """
    from outbox.demo.surroundings import ends_cleanly, temporary_folder
    from outbox.demo.tour import Tour
    from outbox.render import line

    began = time.monotonic()

    def say(text: str) -> None:
        line(f"{time.monotonic() - began:5.1f}s  {text}", err=as_json)

    with ends_cleanly() as check, temporary_folder(keep=keep) as folder:
        tour = Tour(folder, events=events, seed=seed, say=say, check=check)
        verdict = tour.run()
        _show(verdict, as_json=as_json)
        if keep:
            _next_steps(tour, folder, err=as_json)
    return 0 if verdict.held else 1


def _show(verdict: Verdict, *, as_json: bool) -> None:
    from outbox.render import line, to_json

    if as_json:
        line(to_json(asdict(verdict) | {"held": verdict.held}))
        return
    line()
    for name, count, note in _counts(verdict):
        line(f"{name:<20}{count:>6}{note}")
    line()
    for trouble in verdict.troubles:
        line(trouble)
    line("The promise held." if verdict.held else "The promise did not hold.")


def _counts(verdict: Verdict) -> list[tuple[str, int, str]]:
    counts = [
        ("committed", verdict.committed, ""),
        ("delivered", verdict.delivered, ""),
        ("rolled back", verdict.rolled_back, ""),
        ("sent after rollback", verdict.sent_after_rollback, ""),
        ("lost", verdict.lost, ""),
        ("failed", verdict.failed, "  given up, with the reason recorded"),
        ("duplicates", verdict.duplicates, _likeness(verdict)),
    ]
    return [each for each in counts if each[0] != "failed" or each[1]]


def _likeness(verdict: Verdict) -> str:
    if verdict.altered:
        return f"  {verdict.altered} events with another key or other bytes"
    return "  each with the same key and the same bytes" if verdict.duplicates else ""


def _next_steps(tour: Tour, folder: Path, *, err: bool) -> None:
    from outbox.render import line

    command = "outbox" if shutil.which("outbox") else f"{sys.executable} -m outbox"
    message_id = tour.ledger.most_tried()
    line(f"Kept in {folder}. To look around:", err=err)
    line(f"  export OUTBOX_DATABASE_URL=sqlite:///{tour.database}", err=err)
    line(f"  {command} status", err=err)
    line(f"  {command} list --limit 5", err=err)
    if message_id is not None:
        line(f"  {command} show {message_id}  # one that needed several attempts", err=err)
