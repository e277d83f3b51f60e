"""The pacer: sending times are kept, missed ones are not made up for, and nobody waits for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from outbox.clock import lease_clock
from outbox.worker.pacing import Pacer, Ramp


class Times:
    """Hands out sending times as a store would: one behind the other."""

    def __init__(self, spacing: float) -> None:
        self.spacing: float | None = spacing
        self.asked: list[int] = []
        self._next = 0.0

    async def ask(self, count: int) -> Sequence[float]:
        """Give so many times; none once the limit is lifted."""
        self.asked.append(count)
        if self.spacing is None:
            return []
        first = max(self._next, lease_clock())
        self._next = first + count * self.spacing
        return [first + number * self.spacing for number in range(count)]


async def begin(pacer: Pacer, begun: list[float]) -> bool:
    """Take one turn, and note when it came."""
    may_send = await pacer.turn()
    begun.append(lease_clock())
    return may_send


def test_each_begins_at_its_time() -> None:
    """Twenty senders at a hundred a second need a fifth of a second, and none is early."""

    async def story() -> None:
        times, begun = Times(0.01), list[float]()
        pacer = Pacer(times.ask, rate=100.0, concurrency=64)
        start = lease_clock()
        assert all(await asyncio.gather(*(begin(pacer, begun) for _ in range(20))))
        assert all(at >= start + place * 0.01 - 0.001 for place, at in enumerate(sorted(begun)))
        assert max(times.asked) <= 20

    asyncio.run(story())


def test_missed_times_are_not_made_up_for() -> None:
    """After the process has stood still for a while, what it missed does not go out at once."""

    async def story() -> None:
        stale = [lease_clock() - 1.0] * 5
        fresh = Times(0.02)
        answers = iter([stale])

        async def ask(count: int) -> Sequence[float]:
            return next(answers, None) or await fresh.ask(count)

        pacer, begun = Pacer(ask, rate=50.0, concurrency=64), list[float]()
        await asyncio.gather(*(begin(pacer, begun) for _ in range(5)))
        assert max(begun) - min(begun) >= 0.07
        assert fresh.asked

    asyncio.run(story())


def test_a_limit_that_is_lifted_lets_all_go() -> None:
    """At the end of a ramp everybody who waits may send, and nobody has to ask again."""

    async def story() -> None:
        times = Times(0.001)
        pacer = Pacer(times.ask, rate=None, concurrency=64)
        limited = [pacer.limited]
        pacer.ramp()
        limited.append(pacer.limited)
        times.spacing = None
        assert await asyncio.gather(*(pacer.turn() for _ in range(100))) == [True] * 100
        assert [*limited, pacer.limited] == [False, True, False]
        assert len(times.asked) == 1

    asyncio.run(story())


def test_a_pause_sends_everybody_back() -> None:
    """Whoever waits when nothing may be sent any more learns it at once; who comes later waits for a time anew."""

    async def story() -> None:
        times = Times(10.0)
        pacer = Pacer(times.ask, rate=0.1, concurrency=64)
        waiting = [asyncio.create_task(pacer.turn()) for _ in range(3)]
        assert await asyncio.wait_for(waiting[0], 1.0)
        pacer.stop()
        assert await asyncio.wait_for(asyncio.gather(*waiting[1:]), 1.0) == [False, False]
        pacer.close()

    asyncio.run(story())


def test_whose_time_does_not_come_is_sent_back() -> None:
    """Where others have all times, a message whose lease will not last goes back, and the next one waits on."""

    async def story() -> None:
        async def ask(_count: int) -> Sequence[float]:
            return [] if lease_clock() < free_at else [lease_clock()]

        free_at = lease_clock() + 0.5
        pacer = Pacer(ask, rate=1.0, concurrency=64)
        turns = [pacer.turn(free_at - 0.4), pacer.turn(free_at + 10)]
        assert await asyncio.wait_for(asyncio.gather(*turns), 5.0) == [False, True]
        pacer.close()
        assert not await pacer.turn()

    asyncio.run(story())


def test_a_failing_question_leaves_nobody_waiting() -> None:
    """Where asking for times raises what nobody foresaw, whoever waits is sent back."""

    async def story() -> None:
        async def ask(_count: int) -> Sequence[float]:
            raise ValueError

        pacer = Pacer(ask, rate=1.0, concurrency=64)
        turns = [pacer.turn(), pacer.turn()]
        assert await asyncio.wait_for(asyncio.gather(*turns), 5.0) == [False, False]
        pacer.close()

    asyncio.run(story())


def test_a_low_rate_holds_little() -> None:
    """What waits for its time ages under a lease: no more is claimed than goes out within a second."""
    nobody = Times(1.0).ask
    assert Pacer(nobody, rate=50.0, concurrency=64).room(10) == 40
    assert Pacer(nobody, rate=0.2, concurrency=64).room(0) == 1
    assert Pacer(nobody, rate=None, concurrency=64).room(10) > 10**6


def test_a_process_comes_back_slowly() -> None:
    """The first second after its own network has come back it sends a fraction of its concurrency; later more than all."""
    ramp = Ramp(64)
    start = lease_clock()
    moments = [ramp.next(0.0) - start for _ in range(2000)]
    assert moments == sorted(moments)
    assert 4 <= sum(at < 1.0 for at in moments) <= 64 / 4
    assert sum(3.0 <= at < 4.0 for at in moments) > 64 * 4
    assert not ramp.is_over(start + 3.9)
    assert ramp.is_over(start + 4.1)
    assert Ramp(1).next(0.0) - lease_clock() < 0.1
