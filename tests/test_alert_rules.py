"""The alert rules: Prometheus's own tool reads them and plays their stories, and they speak of metrics that there are."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from outbox.message import State
from support.project import ROOT

_FOLDER = ROOT / "docker" / "prometheus"
_PAGE = ROOT / "docs" / "observing.md"


@pytest.fixture(scope="module")
def promtool() -> str:
    """Give the tool of the `prometheus` package."""
    found = shutil.which("promtool")
    if found is None:
        reason = "promtool is missing: install the package prometheus"
        if os.environ.get("CI"):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return found


def _run(promtool: str, *arguments: str) -> None:
    done = subprocess.run([promtool, *arguments], cwd=_FOLDER, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_can_be_read(promtool: str) -> None:
    """By the Prometheus that would load them."""
    _run(promtool, "check", "rules", "alerts.yml")


def test_each_rule_fires_when_it_should_and_not_before(promtool: str) -> None:
    """The stories of alerts_test.yml."""
    _run(promtool, "test", "rules", "alerts_test.yml")


def test_every_rule_has_a_story_that_fires() -> None:
    """A rule that nobody has seen firing may never do so."""
    rules = {*re.findall(r"- alert: (\w+)", (_FOLDER / "alerts.yml").read_text())}
    fired = {*re.findall(r"alertname: (\w+)\n +exp_alerts:\n", (_FOLDER / "alerts_test.yml").read_text())}
    assert rules == fired


def test_the_rules_speak_of_metrics_that_there_are() -> None:
    """All of their names are on the page, which is held against a worker's own answer, and so are their states."""
    expressions = re.findall(r"expr: (.+)", (_FOLDER / "alerts.yml").read_text())
    names = {name for each in expressions for name in re.findall(r"\boutbox_\w+", each)}
    documented = {*re.findall(r"^\| `(outbox_\w+)`", _PAGE.read_text(encoding="utf-8"), re.MULTILINE)}
    assert names
    assert names <= documented
    assert {state for each in expressions for state in re.findall(r'state="(\w+)"', each)} <= {*map(str, State)}
