"""The HTTP client's chain of causes, read as a sentence. That it gives such chains is for the tests of each failure."""

from __future__ import annotations

import pytest

from outbox.delivery.causes import CONNECT, TryFailed, explain
from outbox.message import Certainty

URL = "https://api.example.com:8443/v1/event?key=secret"
WHERE = "api.example.com:8443"
SENDING = f"error sending request for url ({URL})"
BODY = "request or response body error"


def told(*causes: str) -> TryFailed:
    return explain(causes, URL, connect_timeout=3.0, try_timeout=10.0)


@pytest.mark.parametrize(
    ("causes", "error"),
    [
        (["operation timed out"], f"no connection to {WHERE} within 3s"),
        (["deadline has elapsed"], f"no connection to {WHERE} within 3s"),
        (["tcp connect error", "Connection refused (os error 111)"], f"connection refused by {WHERE}"),
        (["Network unreachable (os error 101)"], f"cannot connect to {WHERE}: network unreachable"),
        (["something: else"], f"cannot connect to {WHERE}: something: else"),
        ([], f"cannot connect to {WHERE}"),
        (["dns error", "failed to lookup: Name unknown"], "cannot resolve api.example.com: Name unknown"),
        (["dns error", "a: b: c"], "cannot resolve api.example.com: c"),
        (["tls handshake eof"], f"TLS: {WHERE} closed the connection during the handshake"),
        (
            ["invalid peer certificate: UnknownIssuer"],
            "TLS: the certificate of api.example.com is of an unknown authority",
        ),
        (
            ["invalid peer certificate: certificate expired: verification time 1 (UNIX)"],
            "TLS: the certificate of api.example.com has expired",
        ),
        (
            ["invalid peer certificate: certificate not valid yet: verification time 1 (UNIX)"],
            "TLS: the certificate of api.example.com is not valid yet",
        ),
        (
            ['invalid peer certificate: certificate not valid for name "x"; certificate is only valid for y'],
            "TLS: the certificate is not one of api.example.com",
        ),
        (["invalid peer certificate: BadSignature"], "TLS: BadSignature"),
    ],
)
def test_what_never_left(causes: list[str], error: str) -> None:
    """With the connect's cause in the chain the request had not left, and the last cause says why."""
    assert told(SENDING, CONNECT, *causes) == TryFailed(Certainty.NOT_SENT, error)


@pytest.mark.parametrize(
    ("causes", "error"),
    [
        ([SENDING], "not an answer of HTTP's: the HTTP client failed"),
        ([SENDING, "operation timed out"], "no answer within 10s"),
        ([SENDING, "deadline has elapsed"], "no answer within 10s"),
        ([BODY, "operation timed out"], "no whole answer within 10s"),
        ([SENDING, "connection closed before message completed"], "connection closed before the answer"),
        ([BODY, "end of file before message length reached"], "connection closed in the answer"),
        ([SENDING, "Connection reset by peer (os error 104)"], "connection reset by peer before the answer"),
        ([BODY, "Connection reset by peer (os error 104)"], "connection reset by peer in the answer"),
        ([SENDING, "invalid HTTP version parsed"], "not an answer of HTTP's: invalid HTTP version parsed"),
        (["odd (os error 5) indeed"], "not an answer of HTTP's: odd (os error 5) indeed"),
        ([], "not an answer of HTTP's: the HTTP client failed"),
    ],
)
def test_what_may_have_been_processed(causes: list[str], error: str) -> None:
    """Without it the destination may have had the request; the sentence says how far the answer came, never the URL."""
    assert told(*causes) == TryFailed(Certainty.UNKNOWN, error)
