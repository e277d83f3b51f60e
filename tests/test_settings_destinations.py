"""Destinations in the settings: by variables, files, credentials and tables; what they inherit; what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from outbox.errors import ConfigurationError
from outbox.settings import DEFAULT_ENDPOINT, DestinationSettings, Settings, load, unknown_variables
from outbox.settings.destinations import OWN, own_variable

CANARY = "s3cret-canary"


def test_overcentric_is_always_there() -> None:
    """With nothing set it is the only one; its limits are the outbox's own."""
    assert list(Settings().destinations) == ["overcentric"]
    chosen = Settings(endpoint="https://e.example/", concurrency=3, rate=5.0, try_timeout=1.0, proxy="http://p:1")
    found = chosen.destinations["overcentric"]
    assert (found.kind, found.url, found.concurrency, found.rate) == ("overcentric", "https://e.example/", 3, 5.0)
    assert (found.try_timeout, found.proxy, found.on_unknown) == (1.0, "http://p:1", None)
    assert Settings().destinations["overcentric"].url == DEFAULT_ENDPOINT


def test_a_destination_by_variables() -> None:
    """Each of its variables is read; what it is not told is as for all."""
    environ = {
        "OUTBOX_RATE": "50/s",
        "OUTBOX_PROXY": "http://proxy.internal:3128",
        "OUTBOX_CONCURRENCY": "7",
        "OUTBOX_DESTINATION_CRM_URL": "https://crm.example/hooks",
        "OUTBOX_DESTINATION_CRM_SECRET": "whsec_abc",
        "OUTBOX_DESTINATION_CRM_HEADERS": "X-Tenant: 42; Authorization: Bearer a:b",
        "OUTBOX_DESTINATION_CRM_RATE": "600/m",
        "OUTBOX_DESTINATION_CRM_TRY_TIMEOUT": "3s",
        "OUTBOX_DESTINATION_CRM_ON_UNKNOWN": "park",
        "OUTBOX_DESTINATION_CRM_PROXY": "none",
        "OUTBOX_DESTINATION_CRM_CA_FILE": "/etc/ca.pem",
        "OUTBOX_DESTINATION_BULK_2_URL": "https://bulk.example/",
    }
    loaded = load(environ=environ)
    assert list(loaded.settings.destinations) == ["overcentric", "bulk_2", "crm"]
    assert loaded.settings.destinations["crm"] == DestinationSettings(
        "crm",
        "webhook",
        "https://crm.example/hooks",
        "whsec_abc",
        {"X-Tenant": "42", "Authorization": "Bearer a:b"},
        concurrency=7,
        rate=10.0,
        try_timeout=3.0,
        on_unknown="park",
        proxy=None,
        ca_file="/etc/ca.pem",
    )
    bulk = loaded.settings.destinations["bulk_2"]
    assert (bulk.rate, bulk.proxy, bulk.concurrency, bulk.secret) == (50.0, "http://proxy.internal:3128", 7, None)
    assert loaded.origins["destinations.crm.ca_file"] == "OUTBOX_DESTINATION_CRM_CA_FILE"


def test_what_a_flag_changes_holds_for_all() -> None:
    """A destination that has no limit of its own follows the outbox's, also after `replace`."""
    environ = {"OUTBOX_DESTINATION_CRM_URL": "https://crm.example/"}
    assert load({"concurrency": 2}, environ).settings.replace(rate=1.0).destinations["crm"].concurrency == 2
    assert load({}, environ).settings.replace(rate=1.0).destinations["crm"].rate == 1.0


def test_precedence(tmp_path: Path) -> None:
    """A variable wins over its file's credential, that over the table; headers may be a table, secrets a list."""
    (tmp_path / "outbox_destination_crm_secret").write_text("whsec_credential\n")
    (tmp_path / "outbox_destination_erp_url").write_text("https://erp.example/\n")
    (tmp_path / "rate").write_text("2/s\n")
    config = tmp_path / "outbox.toml"
    config.write_text(
        '[destinations.crm]\nurl = "https://file.example/"\nrate = "1/s"\nsecret = ["whsec_a", "whsec_b"]\n'
        'concurrency = 4\nheaders = { X-A = "1; 2" }\n[destinations.none]\nsecret = ["whsec_a", "whsec_b"]\n'
    )
    environ = {
        "OUTBOX_CONFIG": str(config),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "OUTBOX_DESTINATION_CRM_RATE_FILE": str(tmp_path / "rate"),
        "OUTBOX_DESTINATION_CRM_URL": "https://variable.example/",
        "OUTBOX_DESTINATION_EMPTY_URL": "",
    }
    loaded = load(environ=environ)
    found = loaded.settings.destinations
    assert list(found) == ["overcentric", "crm", "erp", "none"]
    assert found["erp"].url == "https://erp.example/"
    assert found["none"].secret == "whsec_a whsec_b"
    crm = found["crm"]
    assert (crm.url, crm.secret, crm.rate) == ("https://variable.example/", "whsec_credential", 2.0)
    assert (crm.concurrency, crm.headers) == (4, {"X-A": "1; 2"})
    assert {key: origin for key, origin in loaded.origins.items() if ".crm." in key} == {
        "destinations.crm.url": "OUTBOX_DESTINATION_CRM_URL",
        "destinations.crm.secret": "systemd credential outbox_destination_crm_secret",
        "destinations.crm.headers": str(config),
        "destinations.crm.concurrency": str(config),
        "destinations.crm.rate": "OUTBOX_DESTINATION_CRM_RATE_FILE",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[destinations.CRM]", "'CRM' cannot be a destination's name"),
        (f"[destinations.{'a' * 65}]", "cannot be a destination's name"),
        ("[destinations.overcentric]", "takes none of its own"),
        ("[destinations.crm]\nurll = 1", "urll is not a setting of a destination (did you mean url?)"),
        ("destinations = 3", "no table"),
        ("[destinations]\ncrm = 3", "no table"),
        ("[destinations.crm]\nrate = 5", "a number above zero and a unit"),
        ('[destinations.crm]\nheaders = { A = "b\\u0000" }', "expected headers such as"),
    ],
)
def test_a_wrong_table(tmp_path: Path, text: str, words: str) -> None:
    """The file, what is wrong, and a next step."""
    config = tmp_path / "outbox.toml"
    config.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        load(environ={}, config=str(config))
    assert str(config) in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("setting", "text", "words"),
    [
        ("RATE", "50", "a number above zero and a unit"),
        ("RATE", "0/s", "a number above zero and a unit"),
        ("RATE", "50/d", "a number above zero and a unit"),
        ("ON_UNKNOWN", "maybe", "one of retry, park"),
        ("PROXY", f"socks5://u:{CANARY}@p:1", "expected http:// or https://"),
        ("PROXY", f"http://u:{CANARY}@p:99999", "expected http:// or https://"),
        ("PROXY", f"http://p/{CANARY}", "expected http:// or https://"),
        ("HEADERS", CANARY, "expected headers such as"),
        ("HEADERS", f"X: {CANARY}; x: 2", "x is there twice"),
        ("HEADERS", f"X: {CANARY}\r\nY: 1", "expected headers such as"),
        ("HEADERS", f"X Y: {CANARY}", "expected headers such as"),
        ("HEADERS", f"X: ü{CANARY}", "expected headers such as"),
    ],
)
def test_a_wrong_value(setting: str, text: str, words: str) -> None:
    """The variable, what was expected and an example; what may be a secret is not repeated."""
    with pytest.raises(ConfigurationError, match=re.escape(words)) as caught:
        load(environ={f"OUTBOX_DESTINATION_CRM_{setting}": text})
    assert str(caught.value).startswith(f"OUTBOX_DESTINATION_CRM_{setting}: ")
    assert CANARY not in str(caught.value)
    assert f"OUTBOX_DESTINATION_CRM_{setting}=" in caught.value.hint


def test_overcentric_takes_no_settings_of_its_own() -> None:
    """Its variables are the outbox's; one that looks like another destination's is refused, not ignored."""
    with pytest.raises(ConfigurationError, match="OUTBOX_DESTINATION_OVERCENTRIC_RATE is a setting of the destination"):
        load(environ={"OUTBOX_DESTINATION_OVERCENTRIC_RATE": "1/s"})


def test_no_secret_in_a_repr() -> None:
    """What a debugger or a traceback shows of settings holds no secret."""
    url = f"http://u:{CANARY}@proxy:1"
    environ = {"OUTBOX_PROXY": url} | {
        own_variable("crm", name): value
        for name, value in {"secret": CANARY, "headers": f"X: {CANARY}", "proxy": url}.items()
    }
    settings = load(environ=environ).settings
    assert settings.destinations["crm"].headers == {"X": CANARY}
    assert CANARY not in repr(settings) + repr(settings.destinations)


@pytest.mark.parametrize("setting", list(OWN))
def test_every_own_setting_reads_its_example(setting: str) -> None:
    """Each has words and an example that can be read; its secret parts are not shown."""
    reading = OWN[setting]
    assert reading.doc
    key = own_variable("crm", setting)
    loaded = load(environ={key: reading.example})
    assert loaded.origins == {f"destinations.crm.{setting}": key}
    value = getattr(loaded.settings.destinations["crm"], setting)
    shown = "none" if value is None else reading.show(value)
    assert (shown == reading.example) == (setting not in {"secret", "headers"})


@pytest.mark.parametrize(
    ("text", "a_second"), [("50/s", 50), ("3000/m", 50), ("1/m", 1 / 60), ("100/h", 100 / 3600), ("0.5/s", 0.5)]
)
def test_rates(text: str, a_second: float) -> None:
    """A rate is a number and a unit, and is read back as it is shown."""
    rate = load(environ={"OUTBOX_RATE": text}).settings.rate
    assert rate == pytest.approx(a_second)
    assert rate is not None
    shown = Settings.readings()["rate"].show(rate)
    assert load(environ={"OUTBOX_RATE": shown}).settings.rate == pytest.approx(a_second)


def test_unknown_variables() -> None:
    """A destination's variables are known; a misspelt one is named with the one that was meant."""
    environ = {
        "OUTBOX_DESTINATION_CRM_URL": "https://crm.example/",
        "OUTBOX_DESTINATION_CRM_CA_FILE_FILE": "x",
        "OUTBOX_DESTINATION_CRM_SECERT": CANARY,
    }
    assert unknown_variables(environ) == [
        "OUTBOX_DESTINATION_CRM_SECERT is not a setting of the outbox (did you mean OUTBOX_DESTINATION_CRM_SECRET?)"
    ]
