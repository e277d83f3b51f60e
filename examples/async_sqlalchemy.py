"""The same with SQLAlchemy's asyncio extension (`pip install 'overcentric-outbox[async]'`).

To run it::

    export OUTBOX_DATABASE_URL=sqlite:///shop.db OUTBOX_PROJECT_ID=my-project
    outbox db upgrade
    python examples/async_sqlalchemy.py sqlite+aiosqlite:///shop.db
    outbox list
"""

from __future__ import annotations

import asyncio
import sys

from sqlalchemy import String
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import outbox


class Base(DeclarativeBase):
    """The application's own models."""


class Export(Base):
    """A document that somebody exported."""

    __tablename__ = "exports"

    id: Mapped[int] = mapped_column(primary_key=True)
    document: Mapped[str] = mapped_column(String(100))


async def export_document(session: AsyncSession, document: str, *, device_id: str, session_id: str) -> None:
    """Write the row and the event. `enqueue` needs no await: the session's flush writes both."""
    session.add(Export(document=document))
    event = outbox.Event(
        "document_exported",
        device_id=device_id,
        session_id=session_id,
        context="product",
        properties={"document": document},
    )
    outbox.enqueue(session, event)


async def main(url: str) -> None:
    """Export one document."""
    engine = create_async_engine(url)
    outbox.sqlite.configure(engine)
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    sessions = async_sessionmaker(engine)
    async with sessions.begin() as session:
        await export_document(session, "report.pdf", device_id="device-from-the-page", session_id="session-from-it")
        # An answer of the database's, such as "was this key there before?", needs await.
        await outbox.enqueue_async(session, outbox.Event.server("report_ready"), dedup_key="report_ready:report.pdf")
    await engine.dispose()
    print("A row and two events are committed.")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
