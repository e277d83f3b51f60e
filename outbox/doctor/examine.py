"""All checks, in the order in which one would repair what they find."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from outbox.doctor.alembic_filter import alembic_filter
from outbox.doctor.database import database
from outbox.doctor.endpoints import endpoint
from outbox.doctor.files import files
from outbox.doctor.finding import Finding
from outbox.doctor.settings import destinations, timing, variables
from outbox.settings import Loaded


class Patient(NamedTuple):
    """What is examined."""

    loaded: Loaded
    folder: Path
    """The working directory: where a relative path, `.env` and `alembic.ini` are looked for."""
    alembic_ini: Path | None = None
    """The application's; None: the one in the folder, if there is one."""
    offline: bool = False
    """Connect to no endpoint."""


def examine(patient: Patient) -> Iterator[Finding]:
    """Run all checks; what one of them finds keeps none of the others from running."""
    settings = patient.loaded.settings
    yield from variables()
    yield from timing(settings)
    yield from destinations(settings)
    yield from database(settings)
    yield from alembic_filter(patient.folder, patient.alembic_ini)
    yield from files(patient.loaded, patient.folder)
    if not patient.offline:
        for each in settings.destinations.values():
            yield from endpoint(each)
