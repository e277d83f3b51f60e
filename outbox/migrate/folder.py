"""Where the migrations are, and alembic's configuration that says so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory


def migrations_folder() -> Path:
    """`outbox/_migrations` in an installed wheel, the top folder `migrations/` in a source tree."""
    package = Path(__file__).parents[1]
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def configuration(**attributes: Any) -> Config:
    """Alembic's configuration, without a file; `attributes` reach our `env.py`."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()).replace("%", "%%"))
    config.attributes.update(attributes)
    return config


def scripts() -> ScriptDirectory:
    """The migrations themselves."""
    return ScriptDirectory.from_config(configuration())
