"""`outbox doctor` on what lies around: settings, files, an application's alembic; and the command itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.commands import Console
from support.databases import Database, build_schema

CANARY = "s3cret-canary"
on_sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the working directory."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def outbox(capsys: pytest.CaptureFixture[str], folder: Path) -> Console:
    """`outbox …` against a file of SQLite's that is nobody else's business."""
    build_schema(f"sqlite:///{folder / 'shop.db'}")
    (folder / "shop.db").chmod(0o600)
    return Console(capsys, Database("sqlite", f"sqlite:///{folder / 'shop.db'}"))


def found(outbox: Console, *arguments: str) -> list[str]:
    """What is not well: `level check: text -> remedy`."""
    findings = outbox("doctor", "--offline", "--json", *arguments).json["findings"]
    return [
        f"{each['level']} {each['check']}: {each['text']} -> {each['remedy']}" for each in findings if each["remedy"]
    ]


def the_one(outbox: Console, check: str, *arguments: str) -> str:
    (one,) = [each for each in found(outbox, *arguments) if each.split(": ")[0].split(" ", 1)[1] == check]
    return one


def test_a_sound_installation(outbox: Console) -> None:
    """Exit 0 although no worker is alive: a warning. What is well is said, too."""
    ran = outbox("doctor", "--offline")
    assert ran.code == 0
    assert ran.out.splitlines()[-1] == "1 warning"
    assert (
        "warning  worker: no worker is alive: nothing is delivered\n         -> Start one: outbox worker\n" in ran.out
    )
    assert "ok       settings: a lease of 1m covers tries of up to 10s\n" in ran.out
    assert "ok       files: no file with a secret, or with events, is open to others\n" in ran.out
    assert "endpoint" not in ran.out
    as_json = outbox("doctor", "--offline", "--json").json
    assert (as_json["ok"], as_json["problem"], as_json["warning"]) == (True, 0, 1)
    assert set(as_json["findings"][0]) == {"check", "level", "text", "remedy"}


def test_it_contacts_the_endpoint_unless_told_not_to(outbox: Console) -> None:
    """One that cannot be resolved is a problem: exit 1."""
    ran = outbox("doctor", "--endpoint", "http://nobody.invalid/")
    assert ran.code == 1
    assert "problem  endpoint overcentric: nobody.invalid cannot be resolved" in ran.out
    assert ran.out.splitlines()[-1] == "1 problem, 2 warnings"


def test_a_lease_that_covers_no_try(outbox: Console) -> None:
    """As a worker would refuse it."""
    one = the_one(outbox, "settings", "--lease", "15s", "--try-timeout", "10s")
    assert one.startswith("problem settings: OUTBOX_LEASE is 15s, shorter than twice OUTBOX_TRY_TIMEOUT")


def test_settings_that_mean_nothing(outbox: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """A misspelt variable; delivery that is off; a policy that is not there."""
    monkeypatch.setenv("OUTBOX_LEESE", "1m")
    monkeypatch.setenv("OUTBOX_DELIVERY", "log")
    all_of_it = "\n".join(found(outbox))
    assert "warning settings: OUTBOX_LEESE is not a setting of the outbox (did you mean OUTBOX_LEASE?)" in all_of_it
    assert "warning settings: OUTBOX_DELIVERY is log: a worker with these settings sends nothing" in all_of_it
    monkeypatch.setenv("OUTBOX_POLICY", "nowhere:policy")
    assert "problem settings: OUTBOX_POLICY" in "\n".join(found(outbox))


def test_destinations_that_nothing_can_be_sent_to(outbox: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    """No secret, no such kind, no URL; plain text on the way is warned of. No secret is told."""
    monkeypatch.setenv("OUTBOX_DESTINATION_CRM_URL", f"https://crm.example/?token={CANARY}")
    monkeypatch.setenv("OUTBOX_DESTINATION_MAIL_URL", "https://mail.example/")
    monkeypatch.setenv("OUTBOX_DESTINATION_MAIL_KIND", "pigeon")
    all_of_it = "\n".join(found(outbox, "--endpoint", f"http://overcentric.example/?key={CANARY}"))
    assert "warning destination overcentric: events go to overcentric.example:80 in plain text" in all_of_it
    assert "problem destination crm: OUTBOX_DESTINATION_CRM_SECRET is not set" in all_of_it
    assert "problem destination mail: OUTBOX_DESTINATION_MAIL_KIND is pigeon, which is no kind" in all_of_it
    assert CANARY not in all_of_it
    assert "problem destination overcentric: OUTBOX_ENDPOINT" in "\n".join(
        found(outbox, "--endpoint", f"https://app:{CANARY}@overcentric.example/")
    )


def test_a_relative_path(capsys: pytest.CaptureFixture[str], outbox: Console, folder: Path) -> None:
    """The same URL is another file for a service."""
    one = the_one(Console(capsys, Database("sqlite", "sqlite:///shop.db")), "database")
    assert one.startswith(f"warning database: the path of the SQLite file is relative: {folder}/shop.db here")
    assert f"Write sqlite:///{folder}/shop.db" in one


def test_a_database_that_is_none(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    """A file that is not there, one that is no database, memory, and what is no URL."""
    (folder / "text.db").write_text("this is no database, " * 100, encoding="utf-8")
    (folder / "text.db").chmod(0o600)
    for url, words in (
        (f"sqlite:///{folder}/nowhere.db", "problem schema: There is no database file"),
        (f"sqlite:///{folder}/text.db", "problem database: "),
        ("sqlite://", "problem database: OUTBOX_DATABASE_URL names a database in memory"),
        (f"oracle://app:{CANARY}@localhost/x", "problem database: OUTBOX_DATABASE_URL names the database 'oracle'"),
    ):
        console = Console(capsys, Database("sqlite", url))
        all_of_it = "\n".join(found(console))
        assert words in all_of_it
        assert CANARY not in all_of_it
        assert console("doctor", "--offline").code == 1


def test_a_driver_that_lacks_greenlet(
    outbox: Console, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An asynchronous driver in the URL, and nothing to start SQLAlchemy's extension with."""
    console = Console(capsys, Database("sqlite", outbox.database.url.replace("sqlite:", "sqlite+aiosqlite:")))
    assert not [each for each in found(console) if "driver" in each]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "greenlet" else object())
    assert the_one(console, "driver").startswith("warning driver: the URL names aiosqlite")


@pytest.mark.parametrize(
    ("mode", "whom"), [(0o644, "everybody on this host"), (0o640, "its group"), (0o602, "everybody on this host")]
)
def test_files_that_others_can_read(
    outbox: Console, folder: Path, monkeypatch: pytest.MonkeyPatch, mode: int, whom: str
) -> None:
    """The configuration if it holds a secret, a file that a variable names, `.env`, and SQLite's own."""
    (folder / "outbox.toml").write_text('[destinations.crm]\nurl = "https://crm.example/"\nsecret = "whsec_x"\n')
    (folder / "proxy").write_text("http://proxy.example:3128")
    (folder / ".env").write_text(f"OUTBOX_DATABASE_URL=postgresql://app:{CANARY}@db/shop")
    monkeypatch.setenv("OUTBOX_PROXY_FILE", str(folder / "proxy"))
    monkeypatch.setenv("OUTBOX_CONFIG", str(folder / "outbox.toml"))
    names = ("outbox.toml", "proxy", ".env", "shop.db")
    for name in names:
        (folder / name).chmod(0o600)
    assert not [each for each in found(outbox) if "files" in each.split(":")[0]]
    for name in names:
        (folder / name).chmod(mode)
    all_of_it = [each for each in found(outbox) if each.startswith("warning files: ")]
    assert len(all_of_it) == len(names)
    for name in names:
        assert any(f"{folder / name} " in each and f"open to {whom} (mode {mode:o})" in each for each in all_of_it), (
            name
        )
    assert CANARY not in str(all_of_it)
    (folder / "outbox.toml").write_text('lease = "1m"\n')  # which is no secret
    assert not [each for each in found(outbox) if "outbox.toml" in each]


ENV = """
from alembic import context
{imports}
context.configure(connection=None, target_metadata=None{arguments})
"""


def write_alembic(folder: Path, env: str, location: str = "%(here)s/migrations") -> None:
    (folder / "migrations").mkdir(exist_ok=True)
    (folder / "migrations" / "env.py").write_text(env, encoding="utf-8")
    ini = f"[alembic]\nscript_location = {location}\nfile_template = %%(rev)s\n"
    (folder / "alembic.ini").write_text(ini, encoding="utf-8")


@pytest.mark.parametrize("location", ["%(here)s/migrations", "migrations"])
def test_an_alembic_that_would_drop_our_tables(outbox: Console, folder: Path, location: str) -> None:
    """The one in the working directory, or the one that is named; with our filter it is well."""
    assert not [each for each in found(outbox) if "alembic" in each]
    write_alembic(folder, ENV.format(imports="", arguments=""), location)
    one = the_one(outbox, "alembic")
    assert one.startswith(f"warning alembic: {folder}/migrations/env.py knows nothing of the outbox")
    assert "from outbox.alembic import include_name" in one
    imports = "from outbox.alembic import include_name"
    write_alembic(folder, ENV.format(imports=imports, arguments=", include_name=include_name"), location)
    assert not [each for each in found(outbox) if "alembic" in each]


def test_an_alembic_that_is_named(outbox: Console, folder: Path) -> None:
    """Elsewhere; where it leads nowhere that is said."""
    (folder / "app").mkdir()
    write_alembic(folder / "app", ENV.format(imports="", arguments=""))
    assert the_one(outbox, "alembic", "--alembic-ini", "app/alembic.ini").startswith("warning alembic: ")
    assert "leads to no env.py" in the_one(outbox, "alembic", "--alembic-ini", "nowhere.ini")
    (folder / "alembic.ini").write_text("[tool]\n", encoding="utf-8")
    assert "leads to no env.py" in the_one(outbox, "alembic")
