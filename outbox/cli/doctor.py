"""`outbox doctor`."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from outbox.cli.options import settings_options
from outbox.settings import Loaded

if TYPE_CHECKING:
    from outbox.doctor import Finding


@click.command()
@click.option("--offline", is_flag=True, help="Connect to no endpoint.")
@click.option(
    "--alembic-ini",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The application's; by default alembic.ini in the working directory, if there is one.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@settings_options("database_url", "endpoint", "lease", "try_timeout")
def doctor(*, loaded: Loaded, offline: bool, alembic_ini: Path | None, as_json: bool) -> int:
    """Look for what is wrong with this installation, and say what to do about it.

    It changes nothing and sends nothing: of an endpoint it looks at the name, the port and the certificate. Exit 0 where
    all is well but for warnings, 1 where something must be repaired.
    """
    from outbox.doctor import Level, Patient, examine
    from outbox.render import line, to_json

    logging.getLogger("outbox").addHandler(logging.NullHandler())  # what it would say is among the findings
    found = [*examine(Patient(loaded, Path.cwd(), alembic_ini, offline))]
    counts = Counter(each.level for each in found)
    if as_json:
        line(to_json(_json(found, counts)))
    else:
        _show(found, counts)
    return 1 if counts[Level.PROBLEM] else 0


def _json(found: Sequence[Finding], counts: Counter[Any]) -> dict[str, Any]:
    from outbox.doctor import Level

    problems, warnings = counts[Level.PROBLEM], counts[Level.WARNING]
    findings = [each._asdict() for each in found]
    return {"ok": not problems, "problem": problems, "warning": warnings, "findings": findings}


def _show(found: Sequence[Finding], counts: Counter[Any]) -> None:
    from outbox.doctor import Level
    from outbox.render import line

    for each in found:
        line(f"{each.level:<8} {each.check}: {each.text}")
        if each.remedy:
            line(f"{'':<8} -> {each.remedy}")
    line()
    line(_summary(counts[Level.PROBLEM], counts[Level.WARNING]))


def _summary(problems: int, warnings: int) -> str:
    parts = [(problems, "problem"), (warnings, "warning")]
    said = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in parts if count]
    return ", ".join(said) or "All well."
