"""Write docs/configuration.md from the settings themselves: `make docs`. A test compares the two."""  # noqa: INP001 - a script

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from outbox.settings import Settings, variable
from outbox.settings.destinations import OWN
from outbox.settings.producer import PRODUCERS
from outbox.store.url import synchronous_url

TARGET = Path(__file__).with_name("configuration.md")

_INTRODUCTION = """\
# Configuration

<!-- Made by docs/generate_configuration.py from outbox/settings/fields.py: change those and run `make docs`. -->

Everything has a default but the database of a worker that runs as a service. `outbox config show` prints every setting
in force, its value with passwords hidden, and where it came from; a misspelt `OUTBOX_…` variable is pointed out there
and when a worker starts.

## Where settings come from

For each setting the first of these counts:

1. a flag of the command: `--try-timeout 5s`;
2. the variable: `OUTBOX_TRY_TIMEOUT=5s`;
3. the file that the variable with `_FILE` at its end names: `OUTBOX_DATABASE_URL_FILE=/run/secrets/outbox_database_url`;
4. the systemd credential of the setting's name in lower case with `outbox_` before it:
   `LoadCredential=outbox_database_url:/etc/outbox/database_url`;
5. the TOML file that `--config` or `OUTBOX_CONFIG` names;
6. the default.

An empty variable counts as not set. A variable together with its `_FILE` is an error, because one of them would be
ignored. Files of secrets are read as UTF-8, without the white space around the value. Nothing is ever picked up from the
working directory.

A wrong value ends a command with one line:

- A value that cannot be read as what it should be (`OUTBOX_LEASE=soon`): the line names the source and what was expected.
  Exit code 78, for a flag 2 (`--lease soon`). A file that cannot be read is 78, also that of `--config`.
- A value that turns out wrong where it is used: the line names the variable, not the source, and the exit code is 78
  wherever the value came from, a flag included. So for a URL that is none of a database's (`--database-url notaurl`), an endpoint
  that is not http or https (`--endpoint ftp://x`), a lease shorter than twice the try timeout, and a first pause longer than the longest.
"""

_SYNTAX = """\
## How values are written

| | Written as | Examples |
|---|---|---|
| durations | a number and a unit: `ms`, `s`, `m`, `h`, `d` | `200ms`, `1.5s`, `30s`, `5m`, `2h`, `7d` |
| times to keep | a duration, `0`, or `forever`, which may be written `-1` | `30d`, `0`, `forever`, `-1` |
| sizes | bytes, or a number with `B`, `KiB` or `MiB` | `262144`, `256KiB`, `1MiB` |
| rates | a number and `/s`, `/m` or `/h`; `none` | `50/s`, `3000/m`, `100/h` |
| headers | `Name: value`, separated by semicolons; in TOML also a table | `X-Tenant: 42; X-Shop: a` |
| lists | values separated by commas; in TOML also an array | `5s,30s,5m`, `["5s", "30s", "5m"]` |
| words | in any case | `on`, `JSON` |
"""

_FILE = """\
## The file

TOML; the keys are the settings' names in lower case without `outbox_`, at the top level, and a table for each destination.
Durations, sizes and rates are strings. An unknown key is an error.

```toml
{sample}

[destinations.crm]
url = "https://crm.example/hooks"
```
"""

_DESTINATIONS = """\
## Destinations

A destination of the name `crm` is there when one of these variables is set, or the table `[destinations.crm]` is in the file. Files
(`OUTBOX_DESTINATION_CRM_SECRET_FILE`) and systemd credentials (`outbox_destination_crm_secret`) serve as for any setting.
[destinations.md](destinations.md) says what they are for.

{rows}

`overcentric` has no settings of this form: the outbox's own are its, and the defaults of the others.
"""

_SAMPLE = ("database_url", "project_id", "concurrency", "try_timeout", "log_format")

_DATABASES = """\
## The database's URL

Write `OUTBOX_DATABASE_URL` as the application has it. The worker and the command line are synchronous, so the driver is
replaced where it is not:

| The application's | Opened as |
|---|---|
{rows}

- Whatever driver the URL names, the worker and the commands use psycopg, PyMySQL or sqlite3, with which they are tested.
  Where that is missing, the error is one line with the command that installs it. A driver that nobody knows is refused
  as a misspelling.
- Of the options behind `?`, asyncpg's `ssl=…` becomes libpq's `sslmode=…`; others are handed to the driver as they are; one that it does not know is refused by name.
- `sqlite:///outbox.db` is a path relative to the working directory, and an application and a worker that start in two
  directories open two files. The absolute path is what commands show. Four slashes name an absolute path.
- A worker whose output is no terminal refuses to start without an explicit database: exit code 78.
"""

_DELIVERY = """\
## What `OUTBOX_DELIVERY` does

| | claims messages | sends | afterwards a message is | for |
|---|---|---|---|---|
| `on` | yes | yes | `delivered`, `failed`, or `pending` until its next attempt | production |
| `log` | yes | no: its id and its name go to the log | `delivered` | staging and development |
| `off` | no | no | `pending` | holding everything back |

`log` marks messages as delivered for good: switching to `on` later sends none of them. With `off` nothing is lost and
nothing is charged: a worker that is started with `on` sends what has gathered. `outbox worker --drain` under `off` ends
with exit code 75 when messages are due. `enqueue` is the same under all three.
"""

_URLS = (
    "postgres://app@db/shop",
    "postgresql://app@db/shop",
    "postgresql+asyncpg://app@db/shop?ssl=require",
    "mysql://app@db/shop",
    "mysql+asyncmy://app@db/shop",
    "mysql+aiomysql://app@db/shop",
    "mariadb://app@db/shop",
    "sqlite:////var/lib/shop/shop.db",
    "sqlite+aiosqlite:////var/lib/shop/shop.db",
)


def text() -> str:
    """The whole page."""
    return "\n".join(
        (
            _INTRODUCTION,
            _settings(),
            _SYNTAX,
            _FILE.format(sample=_sample()),
            _DESTINATIONS.format(rows="\n".join(_own_rows())),
            _DATABASES.format(rows="\n".join(_url_rows())),
            _DELIVERY,
        )
    )


def _settings() -> str:
    rows = [_row("Variable", "Default", "Meaning", "Example"), _row("---", "---", "---", "---")]
    for name, reading in Settings.readings().items():
        default = getattr(Settings(), name)
        shown = "not set" if default in {None, ()} else f"`{reading.show(default)}`"
        rows.append(_row(f"`{variable(name)}`", shown, reading.doc, f"`{reading.example}`"))
    producer = ", ".join(f"`{variable(name)}`" for name in PRODUCERS)
    note = (
        f"Of these the application's own process reads\n{producer},\n"
        "and the names of [destinations](#destinations) with their `kind` and `on_unknown`: at its first `enqueue` and\n"
        "whenever one of the variables has changed. The others are for the worker and the command line."
    )
    return "## The settings\n\n{}\n\n{}\n".format("\n".join(rows), note)


def _own_rows() -> Iterable[str]:
    yield _row("Variable", "In the table", "Meaning", "Example")
    yield _row("---", "---", "---", "---")
    for name, reading in OWN.items():
        yield _row(f"`OUTBOX_DESTINATION_CRM_{name.upper()}`", f"`{name}`", reading.doc, f"`{reading.example}`")


def _row(*cells: str) -> str:
    return "| {} |".format(" | ".join(cell.replace("|", "\\|") for cell in cells))


def _sample() -> str:
    examples = {name: reading.example for name, reading in Settings.readings().items() if name in _SAMPLE}
    return "\n".join(f"{name} = {_toml(value)}" for name, value in examples.items())


def _toml(value: str) -> str:
    return value if value.isdecimal() else f'"{value}"'


def _url_rows() -> Iterable[str]:
    for url in _URLS:
        opened = synchronous_url(url).render_as_string(hide_password=False)
        yield _row(f"`{url}`", f"`{opened}`")


if __name__ == "__main__":
    TARGET.write_text(text(), encoding="utf-8")
