"""The endpoint is checked when a delivery is built, and no error repeats what it holds."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outbox.delivery import Delivery
from outbox.errors import ConfigurationError
from outbox.policy import Policy
from outbox.settings import DEFAULT_ENDPOINT, Settings


@pytest.mark.parametrize(
    "endpoint",
    [
        DEFAULT_ENDPOINT,
        "https://collect.example.org:8443/api/v1/event?source=shop",
        "http://127.0.0.1:8025/api/v1/event",
        "http://[::1]:8025/",
        "http://localhost:8025",
        "HTTPS://COLLECT.EXAMPLE.ORG/",
        "https://münchen.example/",
    ],
)
def test_what_is_accepted(endpoint: str, caplog: pytest.LogCaptureFixture) -> None:
    """HTTPS anywhere, plain HTTP on this machine, without a word in the log."""
    settings = Settings(endpoint=endpoint)
    Delivery(settings, Policy.of(settings))
    assert caplog.messages == []


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "app.overcentric.com/api/v1/event",
        "ftp://example.org/",
        "https://",
        "https:///api/v1/event",
        "https://example.org:99999/",
        "https://example.org:x/",
        "https://exam ple.org/",
        "https://example.org/a\nb",
        "https://[::1/",
        "https://xn--a/",
        "https://\x7f/",
        "https://1.2.3.4.5/",
        "javascript:alert(1)",
        "https://user:hunter2@example.org/",
        "https://hunter2@example.org/",
        "https://:hunter2@example.org/",
    ],
)
def test_what_is_refused(endpoint: str) -> None:
    """Anything else is a configuration error, with a next step and without the value."""
    settings = Settings(endpoint=endpoint)
    with pytest.raises(ConfigurationError) as caught:
        Delivery(settings, Policy.of(settings))
    assert "hunter2" not in str(caught.value)
    assert caught.value.hint


def test_plain_text_to_another_machine_is_warned_about(caplog: pytest.LogCaptureFixture) -> None:
    """Events hold personal data: HTTP beyond this machine works, and the log says what it means."""
    settings = Settings(endpoint="http://collect.example.org/api?token=hunter2")
    Delivery(settings, Policy.of(settings))
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert caplog.messages == ["events go to collect.example.org:80 in plain text: use https:// outside of tests"]


@given(st.text(max_size=40) | st.text(max_size=40).map("https://{}".format))
def test_no_endpoint_is_accepted_that_cannot_be_sent_to(endpoint: str) -> None:
    """Whatever the setting holds: a configuration error now, or a request that can be built later."""
    settings = Settings(endpoint=endpoint)
    try:
        delivery = Delivery(settings, Policy.of(settings))
    except ConfigurationError:
        return
    delivery._ways["overcentric"].client._begin(endpoint).build()
