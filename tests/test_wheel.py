"""The wheel: what is in it, and that it works alone, in an empty environment, in another directory."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from support.databases import Database
from support.events import BODIES, BODY_NAMES
from support.project import ROOT, python_files, tree


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the wheel, built from the source distribution, so that both are complete."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (found,) = folder.glob("*.whl")
    return found


@dataclass
class Installed:
    """An environment that has the wheel, and of everything else only what the wheel needs."""

    folder: Path
    elsewhere: Path
    """The directory in which commands run."""

    def environment(self, **settings: str) -> dict[str, str]:
        """The variables of a command; nothing that could lead Python back to the source tree."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "OUTBOX_"))}
        return kept | {"PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"} | settings

    def run(self, *command: str, **settings: str) -> str:
        """Run a program of this environment, which must succeed, and give its output."""
        program = str(self.folder / "bin" / command[0])
        done = subprocess.run(
            [program, *command[1:]],
            cwd=self.elsewhere,
            env=self.environment(**settings),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextmanager
    def fake_server(self, record: Path) -> Iterator[str]:
        """Run the wheel's own Event API and give its URL."""
        command = [str(self.folder / "bin" / "outbox"), "fake-server", "--port", "0", "--record", str(record)]
        with subprocess.Popen(
            command, cwd=self.elsewhere, env=self.environment(), stdout=subprocess.PIPE, text=True
        ) as server:
            assert server.stdout is not None
            try:
                yield server.stdout.readline().strip().removeprefix("OUTBOX_ENDPOINT=")
            finally:
                server.terminate()
                server.stdout.read()


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Give an empty environment with the wheel, which finds the libraries of this one and not the source tree."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False)
    python = str(folder / "bin" / "python")
    install = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run([*install, str(wheel)], check=True)
    (site,) = (folder / "lib").glob("python*/site-packages")
    # A directory named in a .pth file is searched; .pth files inside it, such as that of the source tree, are not read.
    (site / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return Installed(folder, tmp_path_factory.mktemp("elsewhere"))


def test_it_holds_the_package_its_migrations_and_nothing_else(wheel: Path) -> None:
    """Each module, the marker that says "typed", each migration; no tests, no documentation."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    ours = {path.relative_to(ROOT).as_posix() for path in python_files("outbox")}
    migrations = {path.relative_to(ROOT / "migrations").as_posix() for path in python_files("migrations")}
    assert {"env.py", "versions/0001_initial.py"} <= migrations
    assert {name for name in names if name.endswith(".py")} == ours | {
        f"outbox/_migrations/{each}" for each in migrations
    }
    assert {name for name in names if not name.endswith(".py")} == {
        "outbox/py.typed", "outbox/_migrations/script.py.mako",
    }  # fmt: skip


def test_its_metadata_says_what_it_is(wheel: Path) -> None:
    """Name, Python, extras, licence and the command."""
    metadata = _metadata(wheel)
    assert metadata["Name"] == "overcentric-outbox"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("Provides-Extra", [])) == {"postgres", "mysql", "async", "metrics", "dev"}
    assert "# " in str(metadata.get_payload()), "the README is its description"
    assert "outbox = outbox.cli:main" in _info(wheel, "entry_points.txt").decode()
    assert "outbox = outbox.testing.plugin" in _info(wheel, "entry_points.txt").decode()
    assert "Apache License" in _info(wheel, "licenses/LICENSE").decode()


def test_it_requires_what_it_imports(wheel: Path) -> None:
    """Each library that the package imports belongs to one of its requirements, none to an extra.

    But for pytest, which itself imports the one file that imports it, and for the metrics' library, whose absence is an error
    that names the extra.
    """
    required = {_name(each) for each in _metadata(wheel).get_all("Requires-Dist", []) if "extra ==" not in each}
    distributions = packages_distributions()
    for library in sorted(_imported_libraries() - {"pytest", "prometheus_client"}):
        assert required & {_name(each) for each in distributions[library]}, library


def test_it_runs_by_itself(installed: Installed) -> None:
    """Import and command are the wheel's, not the source tree's, and both tell the version of the metadata."""
    found = installed.run("python", "-c", "import outbox; print(outbox.__file__); print(outbox.__version__)")
    file, version = found.split()
    assert Path(file).is_relative_to(installed.folder)
    assert version in installed.run("outbox", "version")
    assert (
        version
        == installed.run(
            "python", "-c", "import importlib.metadata as m; print(m.version('overcentric-outbox'))"
        ).strip()
    )


def test_it_does_the_main_job(installed: Installed, empty_database: Database, tmp_path: Path) -> None:
    """`db upgrade`, `enqueue`, `worker --drain` and `status` work, and what arrives equals what was handed in."""
    settings = {"OUTBOX_DATABASE_URL": empty_database.url}
    files = [str(BODIES / f"{name}.json") for name in BODY_NAMES]
    record = tmp_path / "received.jsonl"
    installed.run("outbox", "db", "upgrade", **settings)
    ids = installed.run("outbox", "enqueue", *files, **settings).split()
    with installed.fake_server(record) as endpoint:
        installed.run("outbox", "worker", "--drain", OUTBOX_ENDPOINT=endpoint, **settings)
    status = json.loads(installed.run("outbox", "status", "--json", **settings))
    assert (status["pending"], status["delivered"], status["failed"]) == (0, len(BODY_NAMES), 0)
    received = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    arrived = {each["key"]: json.loads(each["body"]) for each in received}
    sent = [json.loads(Path(file).read_text(encoding="utf-8")) for file in files]
    assert arrived == dict(zip(ids, sent, strict=True))


def test_its_pytest_plugin_is_found(installed: Installed) -> None:
    """Where the wheel is installed a test has its fixture, without a line of configuration."""
    test = installed.elsewhere / "test_with_the_plugin.py"
    test.write_text("def test_it(outbox_server):\n    assert outbox_server.count == 0\n", encoding="utf-8")
    done = installed.run("python", "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", str(test))
    assert "1 passed" in done


def _info(wheel: Path, name: str) -> bytes:
    with zipfile.ZipFile(wheel) as archive:
        (found,) = (each for each in archive.namelist() if each.endswith(f".dist-info/{name}"))
        return archive.read(found)


def _metadata(wheel: Path) -> Message:
    return message_from_bytes(_info(wheel, "METADATA"))


def _name(requirement: str) -> str:
    """The distribution's name in `Name>=1`, `Name[extra]; marker`, normalised."""
    name = requirement.split(";", maxsplit=1)[0]
    for separator in "[<>=!~ (":
        name = name.split(separator)[0]
    return name.strip().lower().replace("_", "-")


def _imported_libraries() -> set[str]:
    names: set[str] = set()
    for path in python_files("outbox"):
        for node in _executed(tree(path)):
            if isinstance(node, ast.Import):
                names |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                names.add(node.module)
    roots = {name.partition(".")[0] for name in names}
    return roots - sys.stdlib_module_names - {"outbox"}


def _executed(node: ast.AST) -> Iterator[ast.AST]:
    """Every node below, but for what only type checkers see."""
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"):
            yield child
            yield from _executed(child)
