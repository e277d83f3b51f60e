"""A policy of the application's own, imported from its code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from outbox.cli import run
from outbox.errors import ConfigurationError
from outbox.message import Attempt, Certainty, Failed, Retry
from outbox.policy import Action, Policy
from outbox.settings import load
from support.sending import message

MODULE = """\
from tenacity import stop_after_attempt, wait_exponential
from outbox.message import Certainty
from outbox.policy import TABLE, Action, Policy, Rule, Verdict

taken = Rule((range(409, 410),), Verdict(Action.DELIVERED, None), "it was there already")
policy = Policy(
    wait=wait_exponential(multiplier=2, max=600),
    stop=stop_after_attempt(3),
    retry_after_max=60.0,
    table=(taken, *TABLE),
)
number = 7
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Give a folder that Python imports from, and forget what was imported from it."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "shop_delivery.py").write_text(MODULE, encoding="utf-8")
    yield tmp_path
    for name in set(sys.modules) - before:
        del sys.modules[name]


def policy(where: str, **others: str) -> Policy:
    return Policy.of(load(environ={"OUTBOX_POLICY": where} | others).settings)


def test_it_decides_instead_of_the_settings(folder: Path) -> None:
    """Its waits, its end and its table; `OUTBOX_ANSWERS` goes before its table."""
    own = policy("shop_delivery:policy", OUTBOX_ANSWERS="418=retry")
    failed = Attempt(0.0, 0.1, 1, Certainty.UNKNOWN, "HTTP 500", 500)
    outcomes = [own.outcome(message(attempts=made), failed) for made in range(3)]
    assert [each.delay for each in outcomes if isinstance(each, Retry)] == [2.0, 4.0]
    assert isinstance(outcomes[2], Failed)
    assert own.judge(409).action is Action.DELIVERED
    assert own.judge(418).action is Action.RETRY
    assert own.judge(400).action is Action.FAILED


@pytest.mark.parametrize(
    ("where", "error"),
    [
        ("shop_delivery", "OUTBOX_POLICY is not a module and a name in it"),
        ("shop_delivery:", "OUTBOX_POLICY is not a module and a name in it"),
        (":policy", "OUTBOX_POLICY is not a module and a name in it"),
        ("shop-delivery:policy", "OUTBOX_POLICY is not a module and a name in it"),
        ("../evil:policy", "OUTBOX_POLICY is not a module and a name in it"),
        ("shop_deliver:policy", "OUTBOX_POLICY: there is no module shop_deliver"),
        ("shop_delivery.deep:policy", "OUTBOX_POLICY: there is no module shop_delivery.deep"),
        (
            "shop_delivery:polcy",
            "OUTBOX_POLICY: the module shop_delivery has no polcy (did you mean policy?)",
        ),
        ("shop_delivery:number", "OUTBOX_POLICY: shop_delivery:number is no Policy but of type int"),
    ],
)
def test_what_is_no_policy(folder: Path, where: str, error: str) -> None:
    """One sentence that says which part is wrong, and what to write."""
    with pytest.raises(ConfigurationError) as caught:
        policy(where)
    assert caught.value.message == error
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("1 / 0", "importing broken raised ZeroDivisionError (broken.py, line 2)"),
        ("raise RuntimeError('hunter2')", "importing broken raised RuntimeError (broken.py, line 2)"),
        ("import sys; sys.exit(3)", "importing broken raised SystemExit (broken.py, line 2)"),
        ("import nothing_of_that_name", "there is no module nothing_of_that_name"),
        ("def (", "importing broken raised SyntaxError"),
        (
            "import outbox.policy, tenacity as t\noutbox.policy.Policy(t.wait_fixed(1), t.stop_after_delay(1), 1.0)",
            "importing broken raised ConfigurationError",
        ),
    ],
)
def test_a_module_that_breaks(folder: Path, text: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit 78 and one line: where it broke, not what it said, and how to see the whole of it."""
    (folder / "broken.py").write_text(f"\n{text}\npolicy = 1\n", encoding="utf-8")
    assert run(["config", "policy", "--policy", "broken:policy"]) == 78
    said = capsys.readouterr().err
    assert said.startswith(f"outbox: OUTBOX_POLICY: {error}")
    assert said.count("\n") == 1
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("name", "value"),
    [("OUTBOX_RETRY_SCHEDULE", "1s"), ("OUTBOX_MAX_ATTEMPTS", "3"), ("OUTBOX_RETRY_AFTER_MAX", "5m")],
)
def test_a_setting_that_it_replaces_is_not_ignored(folder: Path, name: str, value: str) -> None:
    """Two sources for one thing are a contradiction, and the error names both."""
    with pytest.raises(ConfigurationError, match=f"OUTBOX_POLICY and {name} are both set"):
        policy("shop_delivery:policy", **{name: value})


def test_the_working_directory_holds_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file beside which a command is started is not imported."""
    (tmp_path / "beside.py").write_text("policy = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    assert run(["config", "policy", "--policy", "beside:policy"]) == 78
    assert "there is no module beside" in capsys.readouterr().err
