"""Strings that nobody may see, each planted in one place: in settings, in rows, in what is given and what is answered."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import UUID

from outbox.schema import utc_after
from support.commands import add, add_attempt
from support.databases import Database
from support.events import body
from support.keeping import add_key, settled

_SETTINGS = (
    "webhook secret",
    "older webhook secret",
    "bearer token",
    "tenant header",
    "webhook query",
    "endpoint query",
    "proxy user",
    "proxy password",
    "header in a file",
    "secret in a file",
    "misspelt variable",
)
_EVENT = (
    "property",
    "property name",
    "nested value",
    "url",
    "device",
    "session",
    "identity",
    "email",
    "identity property",
)
_ROWS = (
    "ordering key",
    "dedup key",
    "recorded answer",
    "webhook payload",
    "payload name",
    "payload text",
    "delivered property",
    "delivered identity",
    "pending property",
    "pending key",
    "person",
    "person beside",
    "answer about the person",
)
_GIVEN = ("set value", "refused value", "forgotten", "given property", "given dedup key", "given ordering key")
_ANSWERED = ("answer", "answer reason", "answer header", "exception")

CANARIES = {
    name: f"canary{number:02}{name.replace(' ', '')}end"
    for number, name in enumerate((*_SETTINGS, *_EVENT, *_ROWS, *_GIVEN, *_ANSWERED))
}
"""Each place, and the string that stands there alone. Letters and digits: no quoting and no encoding hides it."""

EVENT = frozenset(_EVENT)
"""Those in the body of one failed event."""


def whsec(name: str) -> str:
    """A canary as the key of a webhook: what is searched for in output is its base64."""
    return f"whsec_{_key(name)}"


def _key(name: str) -> str:
    return base64.b64encode(CANARIES[name].encode()).decode()


def seen(text: str) -> set[str]:
    """Which canaries stand in a text, also as base64 writes them (a webhook's key, a proxy's password)."""
    pair = base64.b64encode(f"{CANARIES['proxy user']}:{CANARIES['proxy password']}".encode()).decode()
    found = {name for name, canary in CANARIES.items() if canary in text or _key(name).rstrip("=") in text}
    return found | ({"proxy user", "proxy password"} if pair in text else set())


def settings(folder: Path, port: int) -> dict[str, str]:
    """Variables, and files that they name, with a canary for each secret. Everything is answered on one port."""
    secrets = f"{whsec('webhook secret')} {whsec('older webhook secret')}"
    (folder / "secret").write_text(whsec("secret in a file"))
    (folder / "outbox.toml").write_text(f'[destinations.erp.headers]\nX-Tenant = "{CANARIES["header in a file"]}"\n')
    here = f"http://127.0.0.1:{port}"
    proxy = f"http://{CANARIES['proxy user']}:{CANARIES['proxy password']}@127.0.0.1:{port}"
    return {
        "OUTBOX_CONFIG": str(folder / "outbox.toml"),
        "OUTBOX_ENDPOINT": f"{here}/api/v1/event?token={CANARIES['endpoint query']}",
        "OUTBOX_DESTINATION_CRM_URL": f"{here}/hooks?key={CANARIES['webhook query']}",
        "OUTBOX_DESTINATION_CRM_SECRET": secrets,
        "OUTBOX_DESTINATION_CRM_HEADERS": f"Authorization: Bearer {CANARIES['bearer token']}; X-Tenant: {CANARIES['tenant header']}",
        "OUTBOX_DESTINATION_ERP_URL": f"{here}/erp",
        "OUTBOX_DESTINATION_ERP_SECRET_FILE": str(folder / "secret"),
        "OUTBOX_DESTINATION_ERP_PROXY": proxy,
        "OUTBOX_CONCURENCY": CANARIES["misspelt variable"],
        "OUTBOX_PROJECT_ID": "my-project",
        # Long enough for a busy machine: an answer that is late is tried again.
        "OUTBOX_LEASE": "60s",
        "OUTBOX_TRY_TIMEOUT": "20s",
    }


def event() -> dict[str, Any]:
    """An event of somebody's, with a canary in each field that tells of them."""
    made = body("minimal")
    made["event"] |= {
        "url": f"https://shop.example/{CANARIES['url']}",
        "device_id": CANARIES["device"],
        "session_id": CANARIES["session"],
        "properties": {
            "plan": CANARIES["property"],
            CANARIES["property name"]: 1,
            "items": [{"name": CANARIES["nested value"]}],
        },
    }
    made["identity"] = {
        "unique_identifier": CANARIES["identity"],
        "email": f"{CANARIES['email']}@example.com",
        "name": CANARIES["identity property"],
    }
    return made


def about(who: str, **properties: object) -> str:
    """The body of somebody's event."""
    made = body("minimal")
    made["event"]["properties"] = properties
    return json.dumps(made | {"identity": {"unique_identifier": CANARIES.get(who, who)}})


def plant(database: Database) -> dict[str, UUID]:
    """Fill the tables; give the ids by what they are."""
    text = CANARIES.__getitem__
    planted = {
        "failed": add(
            database,
            state="failed",
            name="document_exported",
            body=json.dumps(event()),
            ordering_key=text("ordering key"),
            last_status=400,
            last_error="HTTP 400 Bad Request",
        ),
        "webhook": add(
            database,
            state="failed",
            destination="crm",
            name="order.paid",
            body=json.dumps({"type": "order.paid", text("payload name"): text("webhook payload")}),
        ),
        "no json": add(
            database, state="failed", destination="crm", name="order.lost", body=f"no {text('payload text')}"
        ),
        "delivered": settled(database, 3, body=about("delivered identity", plan=text("delivered property"))),
        "pending": add(
            database,
            name="waits",
            body=about("nobody", plan=text("pending property")),
            ordering_key=text("pending key"),
            due_at=utc_after(3600),
        ),
        "person": settled(database, 3, body=about("person", friend=text("person beside"))),
        "other": settled(database, 3, "failed", body=about("nobody"), name="other"),
    }
    add_attempt(database, planted["failed"], response=f"we know no {text('recorded answer')}")
    add_attempt(database, planted["other"], response=f"{text('answer about the person')} {text('person')}")
    add_key(database, text("dedup key"), planted["failed"], 40)
    return planted


class Refusing(ThreadingHTTPServer):
    """Refuses every request, in words that it should have kept to itself; as a proxy, too."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[str] = []
        """All that came, as one text for each request."""


class _Handler(BaseHTTPRequestHandler):
    server: Refusing

    def do_POST(self) -> None:
        came = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.received.append(f"{self.path}\n{self.headers}\n{came}")
        answer = f"no {CANARIES['answer']} here".encode()
        self.send_response(400, f"Not {CANARIES['answer reason']}")
        self.send_header("X-Trace", CANARIES["answer header"])
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_request(self, code: object = "-", size: object = "-") -> None:
        """Say nothing."""


@contextmanager
def refusing() -> Iterator[Refusing]:
    """Run it on a free port of loopback until the block ends."""
    with Refusing() as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
