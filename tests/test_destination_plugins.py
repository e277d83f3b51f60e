"""docs/destinations.md keeps its word: its plugin is installed, found and sends; its verification verifies."""

from __future__ import annotations

import asyncio
import re
import runpy
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine

import outbox
from outbox.delivery import Delivery
from outbox.destinations import DestinationSettings, make
from outbox.errors import ConfigurationError
from outbox.message import Delivered
from outbox.policy import Policy
from outbox.schema import metadata
from outbox.settings import load
from outbox.store import Choice, Store
from support.project import ROOT
from support.raw_server import RawServer, answer, answers
from support.sending import message

PAGE = (ROOT / "docs" / "destinations.md").read_text(encoding="utf-8")


def block(mark: str) -> str:
    """The block of the page behind `<!-- mark -->`."""
    found = re.search(rf"<!-- {mark} -->\n```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def install(folder: Path, entry_points: dict[str, str]) -> None:
    """What an installer leaves: a dist-info with the entry points."""
    info = folder / "shop_cloudevents-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: shop-cloudevents\nVersion: 1.0\n")
    lines = [f"{kind} = {target}" for kind, target in entry_points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[outbox.destinations]", *lines, ""]))


@pytest.fixture
def plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The page's plugin, installed as the page says."""
    (tmp_path / "shop_cloudevents.py").write_text(block("plugin"))
    toml = re.search(r"```toml\n(\[project\.entry-points.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
    assert toml is not None
    install(tmp_path, tomllib.loads(toml[1])["project"]["entry-points"]["outbox.destinations"])
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("shop_cloudevents", None)


def test_the_plugin_fits_on_a_screen() -> None:
    """Thirty lines, as promised."""
    assert len([line for line in block("plugin").splitlines() if line.strip()]) <= 30


@pytest.mark.usefixtures("plugin")
def test_the_plugin_of_the_page_delivers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From `enqueue` through the row and a claim to the server, and its settings are asked for."""
    monkeypatch.setenv("OUTBOX_DESTINATION_LAKE_KIND", "cloudevents")
    engine = create_engine(f"sqlite:///{tmp_path / 'shop.db'}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        made = outbox.enqueue(connection, {"type": "order.paid/ü", "total": 5}, destination="lake")

    async def story() -> None:
        async with RawServer(answers(answer(202))) as server:
            monkeypatch.setenv("OUTBOX_DESTINATION_LAKE_URL", server.url)
            settings = load().settings
            with pytest.raises(ConfigurationError, match="OUTBOX_DESTINATION_LAKE_SECRET is not set"):
                Delivery(settings, Policy.of(settings))
            monkeypatch.setenv("OUTBOX_DESTINATION_LAKE_SECRET", "token")
            settings = load().settings
            delivery = Delivery(settings, Policy.of(settings))
            [claimed] = Store(engine).claim("lake", Choice.ANY, limit=5, free=5, lease=60.0).messages
            assert await delivery.attempt(claimed) == Delivered(202)
            await delivery.close()
        [received] = server.requests
        assert received.body == b'{"type":"order.paid/\\u00fc","total":5}'
        names = ("ce-specversion", "ce-source", "ce-id", "ce-type", "content-type", "authorization")
        assert [received.header(name) for name in names] == [
            "1.0", "/shop", str(made), "order.paid/%C3%BC", "application/json", "Bearer token",
        ]  # fmt: skip

    asyncio.run(story())
    engine.dispose()


@pytest.mark.usefixtures("plugin")
def test_a_misspelt_kind_is_told_from_a_plugins() -> None:
    """The kinds that are installed are named."""
    with pytest.raises(ConfigurationError) as caught:
        make(DestinationSettings("lake", "cloudevent"))
    assert "did you mean cloudevents?" in str(caught.value)
    assert "There are: cloudevents, overcentric, webhook." in caught.value.hint


@pytest.mark.parametrize("target", ["shop_nowhere:CloudEvents", "shop_nothing:CloudEvents"])
def test_a_plugin_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str) -> None:
    """A module that is missing, or has no such object: a configuration error with the reason."""
    (tmp_path / "shop_nothing.py").write_text("")
    install(tmp_path, {"cloudevents": target})
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigurationError, match=f"cloudevents cannot be loaded from {target}: .*Error: ") as caught:
        make(DestinationSettings("lake", "cloudevents"))
    assert caught.value.hint


def test_what_the_page_shows_verifies(tmp_path: Path) -> None:
    """A request of ours is accepted; with another body, secret or time it is not."""
    (tmp_path / "verify.py").write_text(block("verify"))
    verify: Any = runpy.run_path(str(tmp_path / "verify.py"))["verify"]
    old, new = "whsec_" + "a" * 32, "whsec_" + "b" * 32
    hook = make(DestinationSettings("crm", "webhook", "https://crm.example/", f"{old} {new}"))
    made = hook.request(message(body='{"a":1}'))
    assert verify(old, made.headers, made.body.encode())
    assert verify(new, made.headers, made.body.encode())
    assert not verify("whsec_" + "c" * 32, made.headers, made.body.encode())
    assert not verify(new, made.headers, b'{"a":2}')
    assert not verify(new, made.headers | {"webhook-timestamp": str(int(time.time()) - 400)}, made.body.encode())
