"""The documentation keeps its word: what it shows runs, what it links to and names is there."""

from __future__ import annotations

import ast
import importlib
import itertools
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from outbox import errors
from outbox.cli import outbox as root_command
from outbox.message import FailureReason, State
from outbox.policy import TABLE
from outbox.settings import Settings
from support.databases import build_schema
from support.pages import BLOCK, blocks, read
from support.servers.ports import free_port

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").glob("*.md")])
COMMAND_LINE = ROOT / "docs" / "command-line.md"

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    return BLOCK.sub("", read(page))


def anchors(page: Path) -> set[str]:
    """The fragments of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_relative_links_resolve(page: Path) -> None:
    """Each file is there, and so is each heading that a link points at."""
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(page)) + re.findall(r'(?:src|srcset)="([^"]+)"', prose(page))
    for target in targets:
        name, _, fragment = target.partition("#")
        if "://" in name or name.startswith("mailto:"):
            continue
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), target
        assert not fragment or fragment in anchors(linked), target


@every_page
def test_python_blocks_compile(page: Path) -> None:
    """What a reader copies is Python."""
    for block in blocks(page):
        if block.language == "python":
            ast.parse(block.text)


@every_page
def test_imports_of_ours_exist(page: Path) -> None:
    """Also in blocks that need a framework to run: what they import from the outbox, and call on it, is there."""
    for block in blocks(page):
        if block.language != "python":
            continue
        tree = ast.parse(block.text)
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "outbox":
                module = importlib.import_module(node.module or "")
                assert all(hasattr(module, alias.name) for alias in node.names)
        for name in re.findall(r"(?<![\w.\"])outbox\.(\w+)", block.text):
            assert hasattr(importlib.import_module("outbox"), name), name


def running_pages() -> list[Path]:
    return [page for page in PAGES if any(block.mark == "run" for block in blocks(page))]


@pytest.mark.parametrize("page", running_pages(), ids=lambda page: page.name)
def test_a_page_runs_from_top_to_bottom(page: Path, tmp_path: Path) -> None:
    """Blocks marked `run` are one program, on SQLite; a block of plain text behind one is what it prints."""
    here = blocks(page)
    program = "\n".join(block.text for block in here if block.mark == "run")
    printed = "".join(
        after.text for before, after in itertools.pairwise(here) if before.mark == "run" and not after.language
    )
    build_schema(f"sqlite:///{tmp_path / 'shop.db'}")
    # A program that ends with its engine open is no fault of the page's; Python 3.13 warns of the connection.
    done = python(tmp_path, "-W", "error", "-W", "ignore::ResourceWarning", "-c", program)
    assert done.stderr == ""
    assert done.stdout == printed


def test_the_test_that_is_shown_passes(tmp_path: Path) -> None:
    """The page about testing shows a whole test; as it stands it passes, and leaves a developer's database alone."""
    (block,) = [block for page in PAGES for block in blocks(page) if block.mark == "pytest"]
    (tmp_path / "test_shown.py").write_text(block.text, encoding="utf-8")
    # The plugin by its name, as it is found where the outbox is installed: here it may not be.
    plugin = ("-p", "outbox.testing.plugin", "-p", "no:cacheprovider")
    alone = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = python(tmp_path, "-m", "pytest", "-q", "-W", "error", *plugin, "test_shown.py", **alone)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (tmp_path / "shop.db").exists()


def test_the_quickstart_does_what_it_says(tmp_path: Path) -> None:
    """The blocks of README's quickstart, in order, in an empty folder: the order's event arrives."""
    port = str(free_port())
    script = ["set -eu"]
    for block in blocks(ROOT / "README.md"):
        if block.mark == "quickstart" and block.language == "python":
            first = block.text.partition("\n")[0]
            (tmp_path / first.removeprefix("# ")).write_text(block.text, encoding="utf-8")
        elif block.mark == "quickstart":
            script.append(block.text)
    text = "\n".join(script).replace("8025", port).replace("fake-server", f"fake-server --port {port}")
    out = bash(tmp_path, text)
    assert re.search(r"pending +\$subscription_purchase", out), out
    assert re.search(r"^delivered +1$", out, re.MULTILINE), out
    assert "accepted 1, duplicates 0" in out, out


def test_the_policy_that_is_shown_is_one(tmp_path: Path) -> None:
    """The module of docs/outcomes.md is imported as it stands, and its table and schedule are in force."""
    (block,) = [block for page in PAGES for block in blocks(page) if block.mark == "policy"]
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "delivery.py").write_text(block.text, encoding="utf-8")
    ours = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "OUTBOX_POLICY": "shop.delivery:policy"}
    done = python(tmp_path, "-m", "outbox", "config", "policy", **ours)
    assert done.stderr == ""
    assert re.search(r"^409 +delivered ", done.stdout, re.MULTILINE)
    assert "Given up after attempt 50" in python(tmp_path, "-m", "outbox", "config", "schedule", **ours).stdout


def test_every_test_that_is_named_exists() -> None:
    """The promise names its tests; a renamed one must be renamed there, too."""
    named = {name for page in PAGES for name in re.findall(r"tests/(\w+\.py::\w+)", read(page))}
    assert len(named) > 30
    for name in sorted(named):
        file, _, function = name.partition("::")
        assert f"def {function}(" in read(ROOT / "tests" / file), name


def commands(
    command: click.Command, path: tuple[str, ...] = ("outbox",)
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))
    else:
        yield path, command


def options(command: click.Command) -> set[str]:
    return {each for param in command.params if isinstance(param, click.Option) for each in param.opts} - {"--help"}


def sections() -> dict[str, str]:
    """The text under each heading of the command line's page; the heading may name two commands."""
    parts = re.split(r"^## (.+)$", read(COMMAND_LINE), flags=re.MULTILINE)
    named = dict(zip(parts[1::2], parts[2::2], strict=True))
    return {name: text for heading, text in named.items() for name in heading.split(" and ")}


COMMON = {"--database-url", "--config", "--json"}
SETTINGS = {f"--{name.replace('_', '-')}" for name in Settings.readings()}


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*each, id="-".join(each[0])) for each in commands(root_command)]
)
def test_every_command_and_option_is_documented(path: tuple[str, ...], command: click.Command) -> None:
    """In the command's own section; common options stand at the top, and `config show` takes every setting."""
    section = sections()[" ".join(path[:2])]
    assert all(re.search(rf"\b{re.escape(word)}\b", section) for word in path[2:])
    elsewhere = COMMON | SETTINGS if path[1] == "config" else COMMON
    missing = {each for each in options(command) - elsewhere if not re.search(rf"{each}(?![\w-])", section)}
    assert missing == set()


def test_no_option_is_made_up() -> None:
    """Every `--option` on the page is one of some command's, but for what is shown of systemctl."""
    page = re.sub(r"^ *systemctl .*$", "", read(COMMAND_LINE), flags=re.MULTILINE)
    known = set().union(*(options(command) for _, command in commands(root_command))) | {"--help"}
    ours = re.sub(r"^curl (?:.*\\\n)*.*$", "", page, flags=re.MULTILINE)
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", ours)) <= known


def test_every_exit_code_is_documented() -> None:
    """Each error's code, and that of success and of wrong usage, is in the table."""
    codes = {
        int(code)
        for line in re.findall(r"^\| ([\d, ]+) \|", read(COMMAND_LINE), re.MULTILINE)
        for code in line.split(",")
    }
    ours = {
        each.exit_code
        for each in vars(errors).values()
        if isinstance(each, type) and issubclass(each, errors.OutboxError)
    }
    assert ours | {0, 2, 130, 143} == codes


def test_every_state_reason_and_verdict_is_documented() -> None:
    """What a person meets in a row is explained in docs/how-it-works.md, what an answer means in docs/outcomes.md."""
    text = read(ROOT / "docs" / "how-it-works.md")
    assert all(f"`{word}`" in text for word in (*State, *FailureReason))
    statuses = {status for rule in TABLE for status in re.findall(r"\d+", rule.text)}
    shown = set(re.findall(r"\b[2-5]\d\d\b", read(ROOT / "docs" / "outcomes.md").partition("## Another")[0]))
    assert {each for each in statuses if 200 <= int(each) < 600} - {"400", "499"} <= shown


def test_the_picture_is_one_in_two_colours() -> None:
    """Light and dark differ in nothing but their colours."""
    light, dark = (read(ROOT / "docs" / "images" / f"flow-{name}.svg") for name in ("light", "dark"))
    assert light != dark
    assert re.sub(r"#[0-9a-f]{6}", "", light) == re.sub(r"#[0-9a-f]{6}", "", dark)


def surroundings(folder: Path, **settings: str) -> dict[str, str]:
    """A reader's environment: this Python and its commands, and a database in the folder."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    ours = {"OUTBOX_DATABASE_URL": f"sqlite:///{folder / 'shop.db'}", "OUTBOX_PROJECT_ID": "my-project"}
    return os.environ | {"PATH": path} | ours | settings


def python(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=surroundings(folder, **settings),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def bash(folder: Path, script: str) -> str:
    """Run a script, and end whatever it left running."""
    with subprocess.Popen(
        ["bash", "-c", script],
        cwd=folder,
        env=surroundings(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, _ = process.communicate(timeout=60)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    assert process.returncode == 0, out
    return out
