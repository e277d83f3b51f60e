"""One reader of the environment: what the outbox can be told stands in `outbox/settings` and nowhere else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from support.project import place, python_files, tree

_READERS = {"environ", "environb", "getenv", "getenvb"}

_EXCEPTIONS = {
    "outbox/delivery/client.py": "hides variables of the TLS library while a client is built; takes no value from them",
}


def test_the_environment_is_read_in_one_room() -> None:
    """No module outside of `outbox/settings` looks at `os.environ`, but for the few that have another reason."""
    found = {place(path): place(path, line) for path in python_files("outbox") for line in _reads(path)}
    elsewhere = {name: where for name, where in found.items() if not name.startswith("outbox/settings/")}
    assert elsewhere.keys() <= _EXCEPTIONS.keys(), "\n".join(elsewhere.values())


def test_the_exceptions_are_still_needed() -> None:
    """An exception that nobody uses any more is taken off the list."""
    for name in _EXCEPTIONS:
        assert any(place(path) == name and [*_reads(path)] for path in python_files("outbox")), name


def _reads(path: Path) -> Iterator[int]:
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Attribute) and node.attr in _READERS and ast.unparse(node.value) == "os":
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "os" and _READERS & {each.name for each in node.names}:
            yield node.lineno
