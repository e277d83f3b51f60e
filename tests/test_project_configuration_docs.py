"""docs/configuration.md says what the settings are, because it is made of them."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path

from outbox.settings import Settings, load, variable
from outbox.settings.destinations import OWN
from support.project import ROOT

_PAGE = ROOT / "docs" / "configuration.md"


def test_the_page_is_what_the_settings_make_of_it() -> None:
    """A changed setting without `make docs` is found here."""
    made = runpy.run_path(str(ROOT / "docs" / "generate_configuration.py"))["text"]()
    assert _PAGE.read_text(encoding="utf-8") == made, "run `make docs`"


def test_every_setting_is_on_the_page_with_an_example_that_can_be_read() -> None:
    """Each has a line in the table, and its example is a value that `load` takes."""
    page = _PAGE.read_text(encoding="utf-8")
    for name, reading in Settings.readings().items():
        assert f"\n| `{variable(name)}` |" in page
        assert f"`{reading.example}` |" in page
        assert load(environ={variable(name): reading.example}).origins == {name: variable(name)}


def test_every_setting_of_a_destination_is_on_the_page() -> None:
    """With its variable and its example."""
    page = _PAGE.read_text(encoding="utf-8")
    for name, reading in OWN.items():
        assert f"\n| `OUTBOX_DESTINATION_CRM_{name.upper()}` |" in page
        assert f"`{reading.example}` |" in page


def test_the_sample_file_is_one(tmp_path: Path) -> None:
    """What the page shows as a configuration file is read, every line of it."""
    found = re.search(r"```toml\n(.*?)```", _PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    path = tmp_path / "outbox.toml"
    path.write_text(found[1], encoding="utf-8")
    written = tomllib.loads(found[1])
    own = {f"destinations.{name}.{key}" for name, table in written.pop("destinations").items() for key in table}
    assert load(environ={}, config=str(path)).origins.keys() == written.keys() | own
