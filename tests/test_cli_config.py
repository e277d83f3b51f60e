"""`outbox config show`: every setting, where it comes from, and no secret."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from outbox.cli import run
from outbox.settings import DEFAULT_ENDPOINT, Settings, variable

CANARY = "s3cret-canary"


def _shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, dict[str, str]]:
    assert run(["config", "show", "--json", *arguments]) == 0
    return {each["name"]: each for each in json.loads(capsys.readouterr().out)}


def test_every_setting_with_its_default(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each setting with its variable; the default database is shown as an absolute path."""
    monkeypatch.chdir(tmp_path)
    found = _shown(capsys)
    assert list(found) == list(Settings.readings())
    assert {each["origin"] for each in found.values()} == {"default"}
    assert all(each["variable"] == variable(name) for name, each in found.items())
    assert found["database_url"]["value"].endswith(f"{tmp_path}/outbox.db")
    assert found["endpoint"]["value"] == DEFAULT_ENDPOINT
    assert found["retry_schedule"]["value"] == "5s,30s,5m,30m,2h,5h,10h"
    assert found["project_id"]["value"] is None


def test_where_a_value_comes_from(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flag, a variable, a file that a variable names, a systemd credential, the settings file, the default."""
    (tmp_path / "endpoint").write_text("http://127.0.0.1:9/\n")
    (tmp_path / "outbox_project_id").write_text("from-credential")
    (tmp_path / "outbox.toml").write_text('lease = "90s"\nconcurrency = 3\n')
    monkeypatch.setenv("OUTBOX_TRY_TIMEOUT", "3s")
    monkeypatch.setenv("OUTBOX_ENDPOINT_FILE", str(tmp_path / "endpoint"))
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    found = _shown(capsys, "--config", str(tmp_path / "outbox.toml"), "--concurrency", "5")
    origins = {name: (each["value"], each["origin"]) for name, each in found.items() if each["origin"] != "default"}
    assert origins == {
        "concurrency": ("5", "flag"),
        "try_timeout": ("3s", "OUTBOX_TRY_TIMEOUT"),
        "endpoint": ("http://127.0.0.1:9/", "OUTBOX_ENDPOINT_FILE"),
        "project_id": ("from-credential", "systemd credential outbox_project_id"),
        "lease": ("90s", str(tmp_path / "outbox.toml")),
    }


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:{CANARY}@db/shop",
        f"postgres://app:{CANARY}%40x@db/shop?sslpassword={CANARY}",
        f"mysql+asyncmy://app:{CANARY}@db/shop?charset=utf8mb4",
        f"oracle://app:{CANARY}@db/shop",
        f"no url at all {CANARY}",
        f"mysql+{CANARY}",
    ],
)
def test_no_password_is_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    """Neither of the database nor of the endpoint, in either form; a wrong URL shows as what is wrong with it."""
    monkeypatch.setenv("OUTBOX_DATABASE_URL", url)
    monkeypatch.setenv("OUTBOX_ENDPOINT", f"https://user:{CANARY}@proxy.example/api/v1/event")
    assert run(["config", "show"]) == 0
    text = capsys.readouterr()
    assert run(["config", "show", "--json"]) == 0
    assert CANARY not in text.out + text.err + capsys.readouterr().out
    assert "https://***@proxy.example/api/v1/event" in text.out


def test_destinations_are_shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting of each: its own, or the outbox's and where that came from; nothing secret in either form."""
    for name, value in {
        "URL": f"https://u:{CANARY}@crm.example/hooks?key={CANARY}",
        "SECRET": CANARY,
        "HEADERS": f"Authorization: {CANARY}; X-Tenant: {CANARY}",
        "TRY_TIMEOUT": "3s",
        "PROXY": f"http://u:{CANARY}@proxy:1",
    }.items():
        monkeypatch.setenv(f"OUTBOX_DESTINATION_CRM_{name}", value)
    monkeypatch.setenv("OUTBOX_RATE", "50/s")
    monkeypatch.setenv("OUTBOX_PROXY", f"http://u:{CANARY}@other:1")
    found = _shown(capsys)
    assert {name: (each["value"], each["origin"]) for name, each in found.items() if ".crm." in name} == {
        "destinations.crm.url": ("https://***@crm.example/hooks?***", "OUTBOX_DESTINATION_CRM_URL"),
        "destinations.crm.kind": ("webhook", "default"),
        "destinations.crm.secret": ("***", "OUTBOX_DESTINATION_CRM_SECRET"),
        "destinations.crm.headers": ("Authorization: ***; X-Tenant: ***", "OUTBOX_DESTINATION_CRM_HEADERS"),
        "destinations.crm.concurrency": ("64", "default"),
        "destinations.crm.rate": ("50/s", "OUTBOX_RATE"),
        "destinations.crm.try_timeout": ("3s", "OUTBOX_DESTINATION_CRM_TRY_TIMEOUT"),
        "destinations.crm.on_unknown": (None, "default"),
        "destinations.crm.proxy": ("http://***@proxy:1", "OUTBOX_DESTINATION_CRM_PROXY"),
        "destinations.crm.ca_file": (None, "default"),
    }
    assert found["proxy"]["value"] == "http://***@other:1"
    assert CANARY not in json.dumps(found)
    assert run(["config", "show"]) == 0
    assert CANARY not in "".join(capsys.readouterr())


def test_a_secret_flag_is_not_repeated(capsys: pytest.CaptureFixture[str]) -> None:
    """A proxy that cannot be read is a usage error without its password."""
    assert run(["config", "show", "--proxy", f"socks5://u:{CANARY}@p:1"]) == 2
    assert CANARY not in "".join(capsys.readouterr())


def test_a_misspelt_variable_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A warning on standard error with the name that was probably meant, not its value; the JSON stays JSON."""
    monkeypatch.setenv("OUTBOX_CONCURENCY", CANARY)
    assert run(["config", "show", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)
    assert captured.err == (
        "outbox: warning: OUTBOX_CONCURENCY is not a setting of the outbox (did you mean OUTBOX_CONCURRENCY?)\n"
    )


def test_a_wrong_value_is_a_configuration_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 78, one line with an example."""
    monkeypatch.setenv("OUTBOX_LEASE", "long")
    assert run(["config", "show"]) == 78
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert "OUTBOX_LEASE=90s" in captured.err


def test_text_is_safe_for_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A value from a file or a variable commands no terminal."""
    monkeypatch.setenv("OUTBOX_PROJECT_ID", "a\x1b[2J\nb")
    assert run(["config", "show"]) == 0
    out = capsys.readouterr().out
    assert r"a\x1b[2J\nb" in out
    assert "\x1b" not in out
