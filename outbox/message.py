"""The words of delivery: a message's state, a worker's claim on it, and an attempt's outcome."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID


class State(StrEnum):
    """Where a message stands. There is no "running": a claimed message is pending, with a lease."""

    PENDING = "pending"
    """Not sent yet, or to be sent again at its `due_at`. The worker moves it on."""

    DELIVERED = "delivered"
    """The destination answered 2xx. Final."""

    FAILED = "failed"
    """Given up, for a recorded reason. It stays until an operator sends it again (`outbox retry`)."""


class OnUnknown(StrEnum):
    """What to do when the destination may or may not have processed the event."""

    RETRY = "retry"
    """Send it again, with the same idempotency key: at least once. The default."""

    PARK = "park"
    """Set it aside as failed for a person to decide: at most once after any doubt."""


class Certainty(StrEnum):
    """What a try that did not succeed tells about the event."""

    NOT_SENT = "not_sent"
    """The request never left: DNS, connect or TLS failed."""

    REJECTED = "rejected"
    """An answer refused it: the destination did not process it."""

    UNKNOWN = "unknown"
    """It may have been processed: timeout, reset, 5xx, a worker that died."""


class Cause(StrEnum):
    """Why a destination is paused. All but the operator's are automatic: they end when a probe has succeeded."""

    OPERATOR = "operator"
    """`outbox pause`. It ends at its time, or by `outbox resume`."""

    RETRY_AFTER = "retry_after"
    """The destination asked for it: 429 or 503 with `Retry-After`."""

    FAILING = "failing"
    """Several different messages in a row failed: 5xx, timeout, reset."""

    REFUSED = "refused"
    """Several different messages in a row drew an answer that judges us or the endpoint, not the message: 401, 404, …"""


class FailureReason(StrEnum):
    """Why a message is failed."""

    REJECTED = "rejected"
    """The destination refused this body (400, 413, 415, 422, …): sending it again cannot help."""

    EXHAUSTED = "exhausted"
    """The schedule of attempts is used up."""

    UNKNOWN = "unknown"
    """Parked: it may have been processed, and `on_unknown="park"` asked not to send it again."""

    WORKER_LOST = "worker_lost"
    """Three claims on it ended with their worker gone: it probably kills its worker."""

    DISCARDED = "discarded"
    """An operator gave it up (`outbox discard`), or sent an edited one in its place (`outbox edit`), or erased it (`outbox forget`). It holds up nobody."""


class Message(NamedTuple):
    """A claimed message: what sending and settling need. Built once per event, hence a tuple."""

    id: str
    """The UUID, as it is written on the wire."""
    name: str
    body: str
    attempts: int
    """Charged attempts so far."""
    on_unknown: str
    keyed: bool
    """Whether it has an `ordering_key`."""
    destination: str
    claim: Claim


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's lease on messages. Random, so that it names no host and no process."""

    token: UUID
    until: float
    """End of the lease on `outbox.clock.lease_clock`, measured from before the claim."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """The record of an attempt that did not deliver. Texts are cleaned and bounded."""

    began: float
    """When the first try began, on `outbox.clock.lease_clock`."""
    duration: float
    """Seconds."""
    tries: int
    """HTTP requests made."""
    certainty: Certainty
    error: str
    status: int | None = None
    """HTTP status of the last answer, if there was one."""
    response: str | None = None
    """Excerpt of the last answer's body."""


@dataclass(frozen=True, slots=True)
class Delivered:
    """The destination took it."""

    status: int | None = None
    """The 2xx it answered; None where delivery is only logged (`OUTBOX_DELIVERY=log`)."""


@dataclass(frozen=True, slots=True)
class Retry:
    """Send it again after `delay` seconds."""

    delay: float
    attempt: Attempt
    charged: bool = True
    """False for what says nothing of this message: a try that our own shutdown cut off, or a trouble that paused its
    destination. It stays due since when it was: the delay is then 0."""
    pause: float | None = None
    """Seconds for which the destination asked not to be sent anything (429 or 503 with `Retry-After`)."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Given up."""

    reason: FailureReason
    attempt: Attempt
    pause: float | None = None
    """As for `Retry`: what ended this message may still ask for a pause."""


Outcome = Delivered | Retry | Failed
