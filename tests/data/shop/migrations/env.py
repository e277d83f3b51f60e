"""The application's env.py. `-x guard=` chooses how it keeps the outbox's tables out: name, object, or not at all."""

from __future__ import annotations

from alembic import context
from shop_models import Base
from sqlalchemy import create_engine

from outbox.alembic import include_name, include_object

arguments = context.get_x_argument(as_dictionary=True)
guards = {"name": {"include_name": include_name}, "object": {"include_object": include_object}, "none": {}}

engine = create_engine(arguments["url"])
with engine.connect() as connection:
    guard = guards[arguments["guard"]]
    context.configure(connection=connection, target_metadata=Base.metadata, **guard)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
