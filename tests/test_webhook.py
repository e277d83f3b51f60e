"""Webhooks: signed as the Standard Webhooks specification has it, and nothing else."""

from __future__ import annotations

import base64
import hmac
import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from outbox.clock import lease_clock
from outbox.destinations import Destination, Request, make
from outbox.destinations.webhook import Webhook
from outbox.errors import ConfigurationError, EventRefused
from outbox.event import Event, Identity
from outbox.message import Claim, Message
from outbox.settings import DestinationSettings, EventSettings
from support.sending import ID

# The vector that the specification's own libraries are tested with (standard-webhooks/standard-webhooks, "sign
# function works").
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
VECTOR_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
VECTOR_TIME = 1614265330
VECTOR_BODY = '{"test": 2432232314}'
VECTOR_SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="

OTHER_SECRET = "whsec_" + base64.b64encode(bytes(range(64))).decode()
CANARY = "s3cret-canary"


def webhook(**settings: Any) -> Destination:
    """Make a webhook as the settings of a destination `crm` describe it."""
    told = {"url": "https://crm.example/hooks", "secret": SECRET} | settings
    return make(DestinationSettings("crm", "webhook", **told))


def claimed(body: str, identity: str = ID) -> Message:
    return Message(identity, "order.paid", body, 0, "retry", False, "crm", Claim(UUID(int=1), lease_clock() + 60))


def signed(made: Request, key: bytes) -> str:
    """The signature by the specification's own words: id.timestamp.payload."""
    content = f"{made.headers['webhook-id']}.{made.headers['webhook-timestamp']}.{made.body}".encode()
    return "v1," + base64.b64encode(hmac.new(key, content, "sha256").digest()).decode()


def test_the_published_vector(monkeypatch: pytest.MonkeyPatch) -> None:
    """The signature is the one that the specification's libraries make of the same webhook."""
    monkeypatch.setattr(time, "time", lambda: VECTOR_TIME + 0.9)
    made = webhook().request(claimed(VECTOR_BODY, VECTOR_ID))
    assert made == Request(
        "https://crm.example/hooks",
        {
            "Content-Type": "application/json",
            "webhook-id": VECTOR_ID,
            "webhook-timestamp": str(VECTOR_TIME),
            "webhook-signature": VECTOR_SIGNATURE,
        },
        VECTOR_BODY,
    )


def test_a_request_is_signed_for_now() -> None:
    """Each attempt has its own time, which a receiver compares with its clock; the id and the body stay."""
    before = int(time.time())
    made = webhook().request(claimed('{"a":1}'))
    assert before <= int(made.headers["webhook-timestamp"]) <= int(time.time())
    assert (made.headers["webhook-id"], made.body) == (ID, '{"a":1}')
    assert made.headers["webhook-signature"] == signed(made, base64.b64decode(SECRET.removeprefix("whsec_")))


def test_several_secrets_all_sign() -> None:
    """While a secret is replaced the receiver may know the old one or the new one."""
    made = webhook(secret=f" {SECRET}  {OTHER_SECRET}\n").request(claimed("[]"))
    keys = (base64.b64decode(each.removeprefix("whsec_")) for each in (SECRET, OTHER_SECRET))
    assert made.headers["webhook-signature"].split(" ") == [signed(made, key) for key in keys]


def test_static_headers_go_with_every_request() -> None:
    """Those of the configuration, beside the specification's."""
    made = webhook(headers={"Authorization": "Bearer a", "X-Tenant": "42"}).request(claimed("{}"))
    assert (made.headers["Authorization"], made.headers["X-Tenant"]) == ("Bearer a", "42")


@pytest.mark.parametrize("name", ["content-type", "Webhook-Id", "webhook-signature", "Host", "CONTENT-LENGTH", "te"])
def test_headers_that_are_written_anyway_are_refused(name: str) -> None:
    """A second one would be sent beside the first, or change how the request is read."""
    with pytest.raises(ConfigurationError, match="OUTBOX_DESTINATION_CRM_HEADERS holds") as caught:
        webhook(headers={name: CANARY})
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    "secret",
    [
        CANARY,
        SECRET.removeprefix("whsec_"),
        "whsec_",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        SECRET + "!",
        f"{SECRET} whsec_{CANARY}",
        f"{SECRET},{SECRET}",
        "whsec_ü",
    ],
)
def test_a_secret_that_is_none(secret: str) -> None:
    """Too short, too long, no base64, no prefix: refused without being repeated, with how one is written."""
    with pytest.raises(ConfigurationError, match="OUTBOX_DESTINATION_CRM_SECRET holds something") as caught:
        webhook(secret=secret)
    assert secret not in caught.value.message
    assert CANARY not in str(caught.value)
    assert "24 to 64 random bytes" in caught.value.hint


def test_a_worker_sends_nothing_unsigned() -> None:
    """Without a secret a producer can encode; a worker refuses to start."""
    made = webhook(secret=None)
    assert made.encode({}).body == "{}"
    with pytest.raises(ConfigurationError, match="OUTBOX_DESTINATION_CRM_SECRET is not set"):
        made.check()


def test_plain_text_is_for_this_machine() -> None:
    """Beyond loopback only HTTPS; the error does not repeat what the URL may hide."""
    for url in ("https://crm.example/", "http://localhost:1/", "http://127.0.0.1/", "http://[::1]:8/"):
        webhook(url=url).check()
    with pytest.raises(ConfigurationError, match="OUTBOX_DESTINATION_CRM_URL sends to crm") as caught:
        webhook(url=f"http://crm.example/{CANARY}?{CANARY}").check()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("payload", "name", "body"),
    [
        ({"type": "order.paid", "data": {"total": 5}}, "order.paid", '{"type":"order.paid","data":{"total":5}}'),
        ({"a": "Zürich", "b": [None, True]}, "crm", '{"a":"Z\\u00fcrich","b":[null,true]}'),
        ({"type": 5}, "crm", '{"type":5}'),
        ({"type": ""}, "crm", '{"type":""}'),
        ({"type": "a\x00b"}, "crm", '{"type":"a\\u0000b"}'),
        ({"type": "x" * 201}, "crm", '{"type":"' + "x" * 201 + '"}'),
        ([1, [2.5, {}]], "crm", "[1,[2.5,{}]]"),
        ("text", "crm", '"text"'),
        (None, "crm", "null"),
        ({"at": datetime(2030, 1, 1, tzinfo=UTC)}, "crm", '{"at":"2030-01-01T00:00:00Z"}'),
    ],
)
def test_any_json_is_a_payload(payload: Any, name: str, body: str) -> None:
    """Compact ASCII JSON; an object's `type` is the message's name, where it can be one."""
    assert webhook().encode(payload) == (name, body, None)
    assert json.loads(body) == json.loads(webhook().encode(payload).body)


_DEEP: list[Any] = []
_DEEP.append(_DEEP)


@pytest.mark.parametrize(
    ("payload", "field", "wrong"),
    [
        ({"data": {"n": float("nan")}}, "payload.data.n", "is NaN"),
        ({"data": [b"x"]}, "payload.data[0]", "is a bytes"),
        ({1: 2}, "payload", "has a key that is an int"),
        (_DEEP, "payload", "is nested deeper than 64 levels"),
        ({"a": _DEEP}, "payload", "is nested deeper than 64 levels"),
        (object(), "payload", "is an object"),
        (Event.server("order_placed"), "payload", "is an Event, and crm is a webhook"),
        ({"a": "x" * 300}, "body", "has 308 bytes, the limit is 300"),
    ],
)
def test_what_is_no_json_is_refused(payload: Any, field: str, wrong: str) -> None:
    """Where, what, and what to do instead."""
    with pytest.raises(EventRefused) as caught:
        webhook(events=EventSettings(max_body=300)).encode(payload)
    assert caught.value.problems[0].field == field
    assert wrong in caught.value.problems[0].wrong


def test_a_webhook_knows_no_identity() -> None:
    """It would be dropped without a word."""
    with pytest.raises(EventRefused, match="identity: is given, and crm is a webhook"):
        webhook().encode({}, Identity("user"))


def test_kinds() -> None:
    """A kind that is not there is named with what was meant, and with all there are."""
    assert isinstance(webhook(), Webhook)
    with pytest.raises(ConfigurationError) as caught:
        make(DestinationSettings("crm", "webhok"))
    assert str(caught.value).startswith(
        "OUTBOX_DESTINATION_CRM_KIND is webhok, which is no kind of destination (did you"
    )
    assert "did you mean webhook?" in str(caught.value)
    assert "overcentric, webhook" in caught.value.hint
