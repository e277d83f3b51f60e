"""docs/operations.md keeps its word: each command is run in the situation that it is for, and prints what stands there."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.situations import SITUATIONS
from support.walkthrough import play, situations, written_anew

PAGE = Path(__file__).parents[1] / "docs" / "operations.md"


@pytest.mark.parametrize("name", situations(PAGE.read_text(encoding="utf-8")))
def test_a_situation_is_as_the_page_tells(name: str, tmp_path: Path) -> None:
    """Ids, times and ages apart."""
    page = PAGE.read_text(encoding="utf-8")
    shown = [*play(page, name, SITUATIONS[name], tmp_path)]
    assert len(shown) >= 2
    for each in shown:
        assert each.agrees, f"$ {each.command}\n{each.printed}"


def test_what_differs_is_found(tmp_path: Path) -> None:
    """A page that says something else does not agree, and can be written anew."""
    page = PAGE.read_text(encoding="utf-8").replace("2000 delivered", "2001 delivered", 1)
    shown = [*play(page, "grown", SITUATIONS["grown"], tmp_path)]
    assert [each.agrees for each in shown] == [False, True]
    assert written_anew(page, shown) == PAGE.read_text(encoding="utf-8")
