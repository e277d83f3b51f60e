"""Tries within one attempt: repeated only where that is safe and soon."""

from __future__ import annotations

import asyncio
import time

import pytest

from outbox.delivery import Delivery
from outbox.message import Certainty, Delivered, Failed, Message, Outcome, Retry
from support.raw_server import Connection, RawServer, answer, answers
from support.sending import BODY, ID, delivering, message

BUSY = answer(503, b"busy")


def retried(outcome: Outcome | None) -> Retry:
    assert isinstance(outcome, Retry)
    return outcome


async def until(condition: object, *, within: float = 3.0) -> None:
    """Wait until a callable is true."""
    assert callable(condition)
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.005)


class Place:
    """A sender's place that counts what is done with it."""

    def __init__(self) -> None:
        self.free = asyncio.Semaphore(0)
        self.log: list[str] = []

    def release(self) -> None:
        """Count it."""
        self.log.append("release")
        self.free.release()

    async def acquire(self) -> bool:
        """Count it."""
        await self.free.acquire()
        self.log.append("acquire")
        return True


@pytest.mark.parametrize("status", [502, 503])
def test_a_gateway_error_is_tried_again_at_once(status: int) -> None:
    """A reload of the destination's server costs no attempt: each try has the same key and the same bytes."""

    async def story() -> None:
        replies = [answer(status), answer(status), answer(201)]
        async with RawServer(answers(*replies)) as server, delivering(server.url) as delivery:
            assert await delivery.attempt(message()) == Delivered(201)
            assert len(server.requests) == 3
            assert {request.body for request in server.requests} == {BODY.encode()}
            assert {request.header("Idempotency-Key") for request in server.requests} == {str(ID)}

    asyncio.run(story())


def test_three_tries_are_one_attempt() -> None:
    """After three tries within 2 s the schedule takes over, and the record counts them."""

    async def story() -> None:
        async with RawServer(answers(BUSY)) as server, delivering(server.url) as delivery:
            began = time.monotonic()
            outcome = retried(await delivery.attempt(message()))
            assert 0.5 < time.monotonic() - began < 2
            assert len(server.requests) == outcome.attempt.tries == 3
            assert 4 <= outcome.delay <= 6
            assert outcome.charged
            assert outcome.attempt.error == "HTTP 503 Service Unavailable"
            assert outcome.attempt.response == "busy"
            assert outcome.attempt.duration > 0.5

    asyncio.run(story())


@pytest.mark.parametrize(
    "reply",
    [
        answer(503, Retry_After="1"),
        answer(502, Retry_After="soon"),
        answer(500),
        answer(504),
        answer(429),
        answer(408),
        answer(400),
        answer(301),
        answer(404),
    ],
)
def test_what_is_not_tried_again(reply: bytes) -> None:
    """Any other answer ends the attempt after one try."""

    async def story() -> None:
        async with RawServer(answers(reply)) as server, delivering(server.url) as delivery:
            outcome = await delivery.attempt(message())
            assert isinstance(outcome, Retry | Failed)
            assert len(server.requests) == outcome.attempt.tries == 1

    asyncio.run(story())


def test_park_is_not_tried_again_after_an_answer_that_leaves_a_doubt() -> None:
    """502 may have been processed: with `park` that is the end of it."""

    async def story() -> None:
        async with RawServer(answers(answer(502))) as server, delivering(server.url) as delivery:
            assert isinstance(await delivery.attempt(message(on_unknown="park")), Failed)
            assert len(server.requests) == 1

    asyncio.run(story())


@pytest.mark.parametrize("on_unknown", ["retry", "park"])
def test_what_never_left_is_tried_again(on_unknown: str) -> None:
    """A destination that starts listening between two tries gets the event, also with `park`."""

    async def story() -> None:
        async with RawServer(answers(answer())) as first:
            port = first.port
        async with delivering(first.url) as delivery:
            attempt = asyncio.create_task(delivery.attempt(message(on_unknown=on_unknown)))
            await asyncio.sleep(0.1)
            async with RawServer(answers(answer()), port=port) as server:
                assert await attempt == Delivered(200)
                assert len(server.requests) == 1

    asyncio.run(story())


def test_the_worst_try_decides_the_certainty() -> None:
    """502, then nobody listens: the first try may have been processed, so the attempt is in doubt."""

    async def story() -> None:
        async def script(connection: Connection) -> None:
            server.stop_listening()
            await connection.request()
            await connection.send(answer(502, Connection="close"))

        async with RawServer(script) as server, delivering(server.url) as delivery:
            attempt = retried(await delivery.attempt(message())).attempt
            assert attempt.tries == 3
            assert attempt.certainty is Certainty.UNKNOWN
            assert attempt.error.startswith("connection refused")
            assert attempt.status is None

    asyncio.run(story())


def test_a_refusal_after_a_doubt_is_final() -> None:
    """502, then 400: the body is refused, and the record does not claim that it was never processed."""

    async def story() -> None:
        async with RawServer(answers(answer(502), answer(400))) as server, delivering(server.url) as delivery:
            outcome = await delivery.attempt(message())
            assert isinstance(outcome, Failed)
            assert (outcome.reason, outcome.attempt.certainty, outcome.attempt.tries) == ("rejected", "unknown", 2)

    asyncio.run(story())


def test_no_further_try_beyond_two_seconds() -> None:
    """A destination that takes longer than 2 s to say 503 is tried once."""

    async def story() -> None:
        async def script(connection: Connection) -> None:
            while await connection.request() is not None:
                await asyncio.sleep(2.05)
                await connection.send(BUSY)

        async with RawServer(script) as server, delivering(server.url, try_timeout=4.0) as delivery:
            assert retried(await delivery.attempt(message())).attempt.tries == 1
            assert len(server.requests) == 1

    asyncio.run(story())


def test_no_further_try_beyond_the_lease() -> None:
    """Each try needs a lease that covers a whole try and its settle."""

    async def story() -> None:
        async with RawServer(answers(BUSY)) as server, delivering(server.url, try_timeout=1.0, lease=2.0) as delivery:
            assert retried(await delivery.attempt(message(lease=1.15))).attempt.tries == 1

    asyncio.run(story())


def test_too_little_lease_sends_nothing() -> None:
    """With less lease left than a try may take, nothing is sent and nothing charged."""

    async def story() -> None:
        async with RawServer(answers(answer())) as server, delivering(server.url, try_timeout=2.0) as delivery:
            for lease in (-1.0, 0.0, 2.0, 3.9):
                assert await delivery.attempt(message(lease=lease)) is None
            assert await delivery.attempt(message(lease=4.5)) == Delivered(200)
            assert len(server.requests) == 1

    asyncio.run(story())


def test_shutdown_ends_the_sleep_between_tries() -> None:
    """A stopping worker settles what it knows instead of waiting for another try."""

    async def story() -> None:
        async with RawServer(answers(BUSY)) as server, delivering(server.url) as delivery:
            attempt = asyncio.create_task(delivery.attempt(message()))
            await until(lambda: server.requests)
            await asyncio.sleep(0.05)
            began = time.monotonic()
            delivery.stop()
            assert retried(await attempt).attempt.tries == 1
            assert time.monotonic() - began < 0.1
            assert retried(await delivery.attempt(message())).attempt.tries == 1
            assert len(server.requests) == 2

    asyncio.run(story())


def test_a_sleep_holds_no_place() -> None:
    """Between tries another message may be sent in this one's place."""

    async def story() -> None:
        place = Place()
        async with RawServer(answers(BUSY, answer())) as server, delivering(server.url) as delivery:
            assert await asyncio.wait_for(delivery.attempt(message(), place), 3) == Delivered(200)
        assert place.log == ["release", "acquire"]
        assert len(server.requests) == 2

    asyncio.run(story())


def test_a_place_that_comes_too_late_is_not_used() -> None:
    """A try whose place comes free only when the attempt's 2 s are over is not made."""

    async def story() -> None:
        class Late(Place):
            async def acquire(self) -> bool:
                await asyncio.sleep(2)
                return True

        async with RawServer(answers(BUSY)) as server, delivering(server.url) as delivery:
            assert retried(await delivery.attempt(message(), Late())).attempt.tries == 1
            assert len(server.requests) == 1

    asyncio.run(story())


def test_a_place_that_may_not_be_used() -> None:
    """While the destination is paused no further try is made, though its place is free."""

    async def story() -> None:
        class Closed(Place):
            async def acquire(self) -> bool:
                return False

        async with RawServer(answers(BUSY)) as server, delivering(server.url) as delivery:
            assert retried(await delivery.attempt(message(), Closed())).attempt.tries == 1
            assert len(server.requests) == 1

    asyncio.run(story())


def test_shutdown_waits_for_no_place() -> None:
    """An attempt whose sleep was ended by a shutdown needs its place no more."""

    async def story() -> None:
        place = Place()
        async with RawServer(answers(BUSY)) as server, delivering(server.url) as delivery:
            attempt = asyncio.create_task(delivery.attempt(message(), place))
            await until(lambda: place.log == ["release"])
            await place.free.acquire()  # another sender takes it, and keeps it
            delivery.stop()
            assert retried(await asyncio.wait_for(attempt, 1)).attempt.tries == 1
            assert place.log == ["release"]

    asyncio.run(story())


def test_attempts_do_not_share_their_tries() -> None:
    """Thirty attempts at once run three tries each."""

    async def story() -> None:
        async with RawServer(answers(BUSY)) as server, delivering(server.url) as delivery:
            outcomes = await asyncio.gather(*(delivery.attempt(message()) for _ in range(30)))
            assert [retried(outcome).attempt.tries for outcome in outcomes] == [3] * 30
            assert len(server.requests) == 90

    asyncio.run(story())


def test_an_attempt_cut_off_by_the_drain() -> None:
    """A cancelled attempt is in doubt: sent again uncharged, or set aside with `park`."""

    async def cancelled(delivery: Delivery, sent: Message) -> None:
        attempt = asyncio.create_task(delivery.attempt(sent))
        await asyncio.sleep(0.05)
        attempt.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attempt

    async def story() -> None:
        async def script(connection: Connection) -> None:
            await connection.request()
            await connection.hang()

        async with RawServer(script) as server, delivering(server.url) as delivery:
            sent = message()
            await cancelled(delivery, sent)
            outcome = delivery.cut_off(sent, 0.0)
            assert isinstance(outcome, Retry)
            assert (outcome.delay, outcome.charged) == (0.0, False)
            assert outcome.attempt.certainty is Certainty.UNKNOWN
            assert outcome.attempt.error == "cut off by the worker's shutdown"
            parked = delivery.cut_off(message(on_unknown="park"), 0.0)
            assert isinstance(parked, Failed)
            assert parked.reason == "unknown"

    asyncio.run(story())


def test_an_unexpected_exception_is_not_swallowed() -> None:
    """A message for a destination that this worker does not know ends in an exception, not in an outcome."""

    async def story() -> None:
        async with RawServer(answers(answer())) as server, delivering(server.url) as delivery:
            with pytest.raises(KeyError):
                await delivery.attempt(message()._replace(destination="crm"))
            assert server.connections == 0

    asyncio.run(story())
