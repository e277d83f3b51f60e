"""What `import outbox` gives an application, and what it leaves alone."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

import outbox

_NOT_FOR_APPLICATIONS = {
    "pyreqwest", "uvloop", "tenacity", "alembic", "click", "httptools", "rich",
    "greenlet", "sqlalchemy.ext.asyncio", "sqlalchemy.orm",
    "outbox.store", "outbox.delivery", "outbox.policy", "outbox.worker", "outbox.cli", "outbox.migrate",
}  # fmt: skip


def _loaded_by(program: str) -> set[str]:
    """Run a program in a fresh interpreter and give the modules that it has loaded."""
    tail = "\nimport sys, json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program + tail], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


_ENQUEUEING = """
import outbox, sqlalchemy
from outbox.schema import metadata
engine = sqlalchemy.create_engine("sqlite://")
outbox.sqlite.configure(engine)
metadata.create_all(engine)
with engine.begin() as connection:
    event = outbox.Event.server("order_placed", project_id="project")
    outbox.enqueue(connection, event, dedup_key="key", delay=5)
    outbox.enqueue_many(connection, [event, event])
"""


@pytest.mark.parametrize(
    "program", ["import outbox", "from outbox import *", _ENQUEUEING], ids=["import", "every-name", "enqueue"]
)
def test_the_application_gets_no_worker(program: str) -> None:
    """Neither the import, nor the first use of every name, nor enqueueing on a Connection loads what it does not need."""
    ours = _loaded_by(program) - _loaded_by("import sqlalchemy")  # which in 2.0 loads greenlet where it is installed
    assert ours & _NOT_FOR_APPLICATIONS == set()


def test_the_import_alone_loads_not_even_sqlalchemy() -> None:
    """The command line and tools that look at the version pay for nothing else."""
    assert "sqlalchemy" not in _loaded_by("import outbox; outbox.__version__")


def test_every_public_name_is_there() -> None:
    """`__all__`, `dir` and the attributes agree."""
    for name in outbox.__all__:
        assert name in dir(outbox)
        assert getattr(outbox, name) is getattr(outbox, name)
    assert issubclass(outbox.SchemaOutdated, outbox.OutboxError)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for every module."""
    module: Any = outbox
    with pytest.raises(AttributeError, match="module 'outbox' has no attribute 'enqeue'"):
        module.enqeue  # noqa: B018 - the access is the point


def test_enqueueing_starts_no_thread_and_opens_no_connection() -> None:
    """The producer has nothing that a fork could break: what it opens is the application's."""
    program = """
import os, outbox, sqlalchemy, threading
from outbox.schema import metadata

def descriptors():
    return len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0

engine = sqlalchemy.create_engine("sqlite://")
metadata.create_all(engine)
connection = engine.connect()
before = descriptors()
outbox.enqueue(connection, outbox.Event.server("order_placed", project_id="project"), dedup_key="key")
assert descriptors() == before
assert threading.active_count() == 1
"""
    _loaded_by(program)


def test_a_webhook_is_encoded_without_a_look_at_what_is_installed() -> None:
    """Kinds that are built in cost no scan of entry points, and no HTTP client."""
    program = """
import os, outbox, sqlalchemy
from outbox.schema import metadata
os.environ["OUTBOX_DESTINATION_CRM_URL"] = "https://crm.example/"
engine = sqlalchemy.create_engine("sqlite://")
metadata.create_all(engine)
with engine.begin() as connection:
    outbox.enqueue(connection, {"a": 1}, destination="crm")
"""
    loaded = _loaded_by(program) - _loaded_by("import sqlalchemy")
    assert loaded & (_NOT_FOR_APPLICATIONS | {"importlib.metadata"}) == set()
