"""An application that commits an event now and then, in a process of its own, and says when each commit was done.

python -m bench.committing --database URL --events 200
"""

from __future__ import annotations

import argparse
import json
import random
import time

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

import outbox
from bench.contestants import BODY

_PAUSE = (0.2, 0.3)


def main() -> None:
    """Read the command line, commit, print the moments by the events' ids."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database", required=True)
    parser.add_argument("--events", type=int, required=True)
    given = parser.parse_args()
    engine = create_engine(given.database)
    outbox.sqlite.configure(engine)
    body = json.loads(BODY.read_text(encoding="utf-8"))
    committed = {}
    for _ in range(given.events):
        time.sleep(random.uniform(*_PAUSE))  # noqa: S311 - no secret
        with Session(engine) as session:
            with session.begin():
                message_id = outbox.enqueue(session, body)
            committed[str(message_id)] = time.monotonic()
    print(json.dumps(committed))


if __name__ == "__main__":
    main()
