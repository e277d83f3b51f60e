"""The units: what is in them, where they go, and what systemd itself says of them."""

from __future__ import annotations

import getpass
import os
import pwd
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from outbox.cli import run
from outbox.service.systemd.units import DROP_IN, TARGET, TEMPLATE
from support.commands import Ran, process
from support.rights import somebody_else

ANALYZE = shutil.which("systemd-analyze")
LINGUA = {"LC_ALL": "C.UTF-8"}
needs_systemd = pytest.mark.skipif(
    ANALYZE is None and not os.environ.get("CI"), reason="systemd-analyze is not installed: apt-get install systemd"
)


def install(root: Path, *arguments: object, **environment: str) -> Ran:
    return process("systemd", "install", "--root", root, *arguments, stdin=b"", **environment)


def units(root: Path) -> Path:
    return root / "etc/systemd/system"


def settings_of(text: str) -> dict[str, list[str]]:
    """Each setting of a unit and what it was given, in order."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", text, re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


def analyze(*arguments: object) -> str:
    """Run systemd-analyze, which needs no running systemd for this; all that it says."""
    assert ANALYZE is not None, "systemd-analyze is missing"
    done = subprocess.run(
        [ANALYZE, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | LINGUA,
    )
    return done.stdout + done.stderr


def test_install_writes_what_print_prints(tmp_path: Path) -> None:
    """Three things: the template, the target that starts so many of it, and a folder for secrets that root alone reads."""
    done = install(tmp_path, "--workers", 3)
    assert (done.code, done.err) == (0, "")
    printed = process("systemd", "print", "--root", tmp_path, "--workers", 3).out
    for name in (TEMPLATE, TARGET):
        path = units(tmp_path) / name
        assert f"# {path}\n{path.read_text()}" in printed
        assert path.stat().st_mode & 0o777 == 0o644
        assert f"wrote {path}" in done.out
    target = settings_of((units(tmp_path) / TARGET).read_text())
    assert target["Wants"] == ["outbox-worker@1.service outbox-worker@2.service outbox-worker@3.service"]
    assert (tmp_path / "etc/outbox/credentials").stat().st_mode & 0o777 == 0o700
    assert "systemctl daemon-reload" in done.out
    assert "systemctl enable --now outbox-workers.target" in done.out


def test_the_program_is_named_by_its_absolute_path(tmp_path: Path) -> None:
    """That of the installation that wrote the units, wherever it was called."""
    install(tmp_path)
    (command,) = settings_of((units(tmp_path) / TEMPLATE).read_text())["ExecStart"]
    program = Path(command.partition(" ")[0])
    assert command.endswith(" worker")
    assert program.is_absolute()
    assert os.access(program, os.X_OK)


def test_what_a_supervised_worker_needs(tmp_path: Path) -> None:
    """The settings without which a deploy would lose work, or a wrong configuration would be tried for ever."""
    install(tmp_path)
    found = settings_of((units(tmp_path) / TEMPLATE).read_text())
    expected = {
        "Type": "notify",
        "KillMode": "mixed",
        "Restart": "always",
        "RestartPreventExitStatus": "78",
        "StartLimitIntervalSec": "0",
        "TimeoutStopSec": "60",
        "WatchdogSec": "90",
        "EnvironmentFile": "-/etc/outbox/worker.env",
        "LoadCredential": "outbox:/etc/outbox/credentials",
        "DynamicUser": "yes",
        "StateDirectory": "outbox",
        "LimitCORE": "0",
    }
    assert {name: found[name] for name in expected} == {name: [value] for name, value in expected.items()}


def test_the_drain_time_decides_on_the_stop(tmp_path: Path) -> None:
    """The unit grants more than the drain time, wherever that is set, and hands it on to the worker."""
    for number, (arguments, environment) in enumerate(
        [(["--drain-timeout", "2m"], {}), ([], {"OUTBOX_DRAIN_TIMEOUT": "2m"})]
    ):
        install(tmp_path / f"{number}", *arguments, **environment)
        found = settings_of((units(tmp_path / f"{number}") / TEMPLATE).read_text())
        assert found["TimeoutStopSec"] == ["155"]
        assert found["Environment"] == ["OUTBOX_DRAIN_TIMEOUT=2m"]


def test_what_somebody_changed_is_not_overwritten(tmp_path: Path) -> None:
    """A second install changes nothing; one over a unit that differs is refused whole, but for --force."""
    install(tmp_path)
    again = install(tmp_path)
    assert again.code == 0
    assert "wrote" not in again.out
    template, target = units(tmp_path) / TEMPLATE, units(tmp_path) / TARGET
    changed = template.read_text() + "# mine\n"
    template.write_text(changed)
    refused = install(tmp_path, "--workers", 5)
    assert refused.code == 1
    assert refused.err == (
        f"outbox: {template} is there and differs. "
        "Put changes into a drop-in (`systemctl edit`) and run this again with --force.\n"
    )
    assert template.read_text() == changed
    assert "@5" not in target.read_text()
    assert install(tmp_path, "--workers", 5, "--force").code == 0
    assert "# mine" not in template.read_text()
    assert "@5" in target.read_text()


def test_nobody_is_left_with_half_a_unit(tmp_path: Path) -> None:
    """Where a file cannot be written, the error is one line that names it, and nothing is left over."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/systemd").write_text("a file, where a folder should be")
    done = install(tmp_path)
    assert done.code == 1
    assert re.fullmatch(r"outbox: \S+ cannot be \w+: \S.*\n", done.err), done.err


def test_without_rights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who may not write there is told so, and what to do."""
    assert run(["systemd", "install", "--root", str(tmp_path / "mine")]) == 0
    (tmp_path / "theirs").mkdir(mode=0o500)
    capsys.readouterr()
    with somebody_else():
        assert run(["systemd", "install", "--root", str(tmp_path / "theirs")]) == 1
    captured = capsys.readouterr()
    assert captured.err.endswith("Permission denied. Run it as root, or with --user for your own service manager.\n")
    assert captured.err.count("\n") == 1
    assert captured.out == ""


@pytest.mark.parametrize("name", ["shop.db", "my shop 100%.db", 'a "b" $HOME.db'])
def test_sqlite_is_the_applications(tmp_path: Path, name: str) -> None:
    """The worker is whoever owns the file, and may write to its folder; any name of a file stays one word."""
    folder = tmp_path / "srv shop"
    folder.mkdir()
    file = folder / name
    file.touch()
    user = _give_to_somebody(file)
    done = install(tmp_path / "root", "--sqlite", file)
    assert done.code == 0, done.err
    text = (units(tmp_path / "root") / DROP_IN).read_text()
    found = settings_of(text)
    assert found["User"] == [user]
    assert found["DynamicUser"] == ["no"]
    assert found["ReadWritePaths"] == [f'"{folder}"']
    plain = f"OUTBOX_DATABASE_URL=sqlite:///{file}".replace("%", "%%").replace('"', '\\"')
    assert found["Environment"] == [f'"{plain}"']
    assert "database_url" not in done.out
    left = install(tmp_path / "root")
    assert f"{DROP_IN} is still in force" in left.err


def _give_to_somebody(file: Path) -> str:
    """Where tests are root, to somebody else: root is refused."""
    if os.geteuid() == 0:
        os.chown(file, pwd.getpwnam("nobody").pw_uid, -1)
        return "nobody"
    return getpass.getuser()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file of root's")
def test_a_worker_is_not_root(tmp_path: Path) -> None:
    """A file of root's needs a name; --run-as gives it."""
    file = tmp_path / "shop.db"
    file.touch()
    done = install(tmp_path, "--sqlite", file)
    assert done.code == 1
    assert "belongs to root, and a worker should not be root. Name the application's user: --run-as NAME." in done.err
    assert install(tmp_path, "--sqlite", file, "--run-as", "shop").code == 0
    assert settings_of((units(tmp_path) / DROP_IN).read_text())["User"] == ["shop"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--run-as", "shop"], "--run-as goes with --sqlite"),
        (["--sqlite", "/srv/shop.db", "--user", "--run-as", "shop"], "--run-as and --user exclude each other"),
        (["--sqlite", "/srv/shop.db", "--run-as", "a\nUser=root"], "is no user's name"),
        (["--sqlite", "/srv/a\nUser=root"], "cannot stand in a unit"),
        (["--sqlite", "/srv/shop.db?mode=ro"], "cannot stand in a unit"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], words: str) -> None:
    """Refused with one line, and nothing is written."""
    done = install(tmp_path, *arguments)
    assert done.code == 2
    assert words in done.err
    assert len(done.err.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_users_own_units(tmp_path: Path) -> None:
    """They ask for nothing that a user's service manager cannot do, and their settings are in the user's own folder."""
    done = install(tmp_path, "--user", "--sqlite", "/srv/shop/shop.db", HOME="/srv/anna")
    assert done.code == 0, done.err
    folder = tmp_path / "srv/anna/.config"
    template = settings_of((folder / "systemd/user" / TEMPLATE).read_text())
    assert template["EnvironmentFile"] == ["-%E/outbox/worker.env"]
    assert template["LoadCredential"] == ["outbox:%E/outbox/credentials"]
    assert template["WantedBy"] == ["default.target"]
    assert not {"DynamicUser", "User", "StateDirectory", "ProtectSystem", "PrivateUsers"} & {*template}
    drop_in = settings_of((folder / "systemd/user" / DROP_IN).read_text())
    assert drop_in == {"Environment": ["OUTBOX_DATABASE_URL=sqlite:////srv/shop/shop.db"]}
    assert (folder / "outbox/credentials").is_dir()
    assert "systemctl --user enable --now outbox-workers.target" in done.out


@needs_systemd
@pytest.mark.parametrize("kind", ["system", "sqlite", "user"])
def test_systemd_has_nothing_to_complain_of(tmp_path: Path, kind: str) -> None:
    """`systemd-analyze verify` of an instance and of the target says nothing."""
    extra = {"system": [], "sqlite": ["--sqlite", "/srv/shop/shop.db", "--run-as", "daemon"], "user": ["--user"]}[kind]
    done = install(tmp_path, *extra, HOME="/srv/anna")
    assert done.code == 0, done.err
    folder = tmp_path / "srv/anna/.config/systemd/user" if kind == "user" else units(tmp_path)
    manager = ["--user"] if kind == "user" else ["--system"]
    said = analyze("verify", *manager, folder / TARGET, folder / TEMPLATE.replace("@", "@1"))
    assert not [line for line in said.splitlines() if "outbox" in line], said


@needs_systemd
def test_what_the_sandbox_is_worth(tmp_path: Path) -> None:
    """`systemd-analyze security` finds less exposure than 1.5 of 10, for a file of SQLite's, too."""
    for number, extra in enumerate(([], ["--sqlite", "/srv/shop/shop.db", "--run-as", "daemon"])):
        install(tmp_path / f"{number}", *extra)
        said = analyze("security", "--offline=true", "--no-pager", units(tmp_path / f"{number}") / TEMPLATE)
        found = re.search(r"Overall exposure level for \S+: (\d+\.\d+)", said)
        assert found is not None, said
        assert float(found[1]) <= 1.5, said
