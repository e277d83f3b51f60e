"""Settings: where a value comes from, how it is written, and what is said about a wrong one."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from outbox.errors import ConfigurationError
from outbox.settings import Settings, load, unknown_variables, variable
from outbox.settings.values import show_duration, show_retention
from support.rights import somebody_else


@pytest.mark.parametrize(
    ("text", "seconds"), [("200ms", 0.2), ("30s", 30), ("5m", 300), ("2h", 7200), ("7d", 604800), ("1.5s", 1.5)]
)
def test_durations(text: str, seconds: float) -> None:
    """A duration is a number and a unit, and is shown as it was written."""
    assert load(environ={"OUTBOX_LEASE": text}).settings.lease == pytest.approx(seconds)
    assert load(environ={"OUTBOX_LEASE": show_duration(seconds)}).settings.lease == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("30d", 2_592_000, "30d"),
        ("0", 0, "0"),
        ("0s", 0, "0"),
        ("-1", math.inf, "forever"),
        ("forever", math.inf, "forever"),
        ("Forever", math.inf, "forever"),
    ],
)
@pytest.mark.parametrize("name", ["delivered", "failed", "dedup", "body"])
def test_how_long_to_keep(name: str, text: str, seconds: float, shown: str) -> None:
    """A duration, nothing at all, or for ever, which may be written as others write it."""
    found = getattr(load(environ={f"OUTBOX_KEEP_{name.upper()}": text}).settings, f"keep_{name}")
    assert found == seconds
    assert show_retention(found) == shown


def test_how_long_to_keep_by_default() -> None:
    """A week, three months, a month; and bodies as long as their messages."""
    found = Settings()
    days = [each / 86400 for each in (found.keep_delivered, found.keep_failed, found.keep_dedup, found.keep_body)]
    assert days == [7, 90, 30, math.inf]


@pytest.mark.parametrize("name", list(Settings.readings()))
def test_every_setting_reads_back_what_it_shows(name: str) -> None:
    """Each setting's example is accepted, and each default is accepted as it is shown."""
    reading = Settings.readings()[name]
    assert reading.doc
    assert load(environ={variable(name): reading.example}).origins == {name: variable(name)}
    default = getattr(Settings(), name)
    if default:
        assert getattr(load(environ={variable(name): reading.show(default)}).settings, name) == default


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("LEASE", "30", "a number and a unit"),
        ("LEASE", "-5s", "a number and a unit"),
        ("LEASE", "0s", "above zero"),
        ("LEASE", "\u0663s", "a number and a unit"),
        ("RETRY_SCHEDULE", "5s,,5m", "a number and a unit"),
        ("CONCURRENCY", "0", "a whole number above zero"),
        ("CONCURRENCY", "many", "a whole number above zero"),
        ("MAX_BODY", "1GB", "a number of bytes"),
        ("KEEP_FAILED", "-2", "less than a century, or 0, or forever"),
        ("KEEP_FAILED", "never", "less than a century, or 0, or forever"),
        ("KEEP_BODY", "99999d", "less than a century, or 0, or forever"),
        ("DELIVERY", "maybe", "one of on, log, off"),
    ],
)
def test_a_wrong_value(name: str, text: str, expected: str) -> None:
    """A wrong value is answered with the variable, what was expected and an example."""
    with pytest.raises(ConfigurationError, match=expected) as caught:
        load(environ={f"OUTBOX_{name}": text})
    assert str(caught.value).startswith(f"OUTBOX_{name}: ")
    assert f"Write, for example, OUTBOX_{name}=" in caught.value.hint


def test_precedence(tmp_path: Path) -> None:
    """A flag wins over the variable, that over its file, that over a credential, that over the configuration file."""
    (tmp_path / "outbox_try_timeout").write_text("3s\n")
    (tmp_path / "lease").write_text("2m\n")
    config = tmp_path / "outbox.toml"
    config.write_text(
        'concurrency = 5\ntry_timeout = "9s"\nlease = "9s"\ndrain_timeout = "9s"\nretry_schedule = ["1s", "2s"]\n'
    )
    environ = {
        "OUTBOX_CONFIG": str(config),
        "CREDENTIALS_DIRECTORY": str(tmp_path),
        "OUTBOX_LEASE_FILE": str(tmp_path / "lease"),
        "OUTBOX_DRAIN_TIMEOUT": "4s",
        "OUTBOX_CONCURRENCY": "6",
    }
    loaded = load({"concurrency": 7, "max_attempts": None}, environ)
    found = loaded.settings
    assert (found.concurrency, found.drain_timeout, found.lease, found.try_timeout) == (7, 4, 120, 3)
    assert (found.retry_schedule, found.max_attempts) == ((1, 2), 18)
    assert loaded.origins == {
        "concurrency": "flag",
        "drain_timeout": "OUTBOX_DRAIN_TIMEOUT",
        "lease": "OUTBOX_LEASE_FILE",
        "try_timeout": "systemd credential outbox_try_timeout",
        "retry_schedule": str(config),
    }


def test_an_empty_variable_is_unset() -> None:
    """What a compose file leaves empty counts as not given."""
    assert load(environ={"OUTBOX_PROJECT_ID": ""}).origins == {}


def test_nothing_is_read_from_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that happens to lie where the worker starts changes nothing."""
    monkeypatch.chdir(tmp_path)
    for name in ("outbox.toml", ".env", "outbox.ini", "pyproject.toml"):
        (tmp_path / name).write_text("concurrency = 5\n")
    assert load(environ={}).origins == {}


def test_a_variable_beside_its_file(tmp_path: Path) -> None:
    """X together with X_FILE is an error: one of them would be ignored."""
    with pytest.raises(ConfigurationError, match="OUTBOX_PROJECT_ID and OUTBOX_PROJECT_ID_FILE are both set"):
        load(environ={"OUTBOX_PROJECT_ID": "a", "OUTBOX_PROJECT_ID_FILE": "/b"})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is missing, or is not what it should be, is named with the reason."""
    with pytest.raises(ConfigurationError, match=r"OUTBOX_PROJECT_ID_FILE names .*No such file"):
        load(environ={"OUTBOX_PROJECT_ID_FILE": str(tmp_path / "none")})
    config = tmp_path / "outbox.toml"
    config.write_text("lease = ")
    with pytest.raises(ConfigurationError, match="is not valid TOML"):
        load(environ={}, config=str(config))
    config.write_text('leese = "30s"')
    with pytest.raises(ConfigurationError, match=re.escape("leese is not a setting (did you mean lease?)")):
        load(environ={}, config=str(config))
    config.write_text("lease = 30")
    with pytest.raises(ConfigurationError, match=r"outbox\.toml: lease: .*a number and a unit"):
        load(environ={}, config=str(config))


def test_an_application_does_not_stumble_over_the_workers_variables() -> None:
    """Who asks for a few settings is not told about the others."""
    environ = {"OUTBOX_LEASE": "nonsense", "OUTBOX_PROJECT_ID": "mine"}
    assert load(environ=environ, only=["project_id"]).settings.project_id == "mine"


def test_unknown_variables() -> None:
    """A variable of ours that means nothing is pointed out, with what was probably meant; others are not ours."""
    environ = {"OUTBOX_CONCURENCY": "5", "OUTBOX_LEASE": "60s", "OUTBOX_LEASE_FILE": "x", "PATH": "/bin"}
    assert unknown_variables(environ) == [
        "OUTBOX_CONCURENCY is not a setting of the outbox (did you mean OUTBOX_CONCURRENCY?)"
    ]


def test_a_long_value_is_not_repeated() -> None:
    """A value that may be a secret in the wrong variable does not come back in the error."""
    with pytest.raises(ConfigurationError) as caught:
        load(environ={"OUTBOX_LEASE": "postgresql://app:hunter2@db.internal/production_database"})
    assert "hunter2" not in str(caught.value)


def test_a_credential_that_cannot_be_read(tmp_path: Path) -> None:
    """A wrong right is an error of the configuration, not a setting that is missing."""
    (tmp_path / "credentials").mkdir(mode=0o000)
    with somebody_else(), pytest.raises(ConfigurationError, match="cannot be read: Permission denied"):
        load(environ={"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")})
