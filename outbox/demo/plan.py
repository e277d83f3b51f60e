"""What will happen in the shop, drawn in advance: so many events, from one seed."""

from __future__ import annotations

import random
from enum import StrEnum
from typing import NamedTuple


class Kind(StrEnum):
    """What a visit to the shop does to the database."""

    ORDER = "order"
    """An order and its event, committed together."""

    DECLINED = "declined"
    """The card is declined after both are written: an exception rolls the transaction back."""

    COUPON = "coupon"
    """An order that commits, with a coupon and its event in a savepoint that is rolled back: two events."""

    WEBHOOK = "webhook"
    """The payment provider's webhook. It comes twice: one event."""


class Visit(NamedTuple):
    """One transaction of the shop."""

    kind: Kind
    number: int


def plan(events: int, generator: random.Random) -> list[Visit]:
    """Visits that write `events` different events in all, in an order drawn at random."""
    declined, coupons, webhooks = events // 12, events // 25, events // 25
    orders = events - declined - 2 * coupons - webhooks
    shares = {Kind.ORDER: orders, Kind.DECLINED: declined, Kind.COUPON: coupons, Kind.WEBHOOK: webhooks}
    kinds = [kind for kind, count in shares.items() for _ in range(count)]
    visits = [Visit(kind, number) for number, kind in enumerate(kinds, start=1)]
    visits += [visit for visit in visits if visit.kind is Kind.WEBHOOK]
    generator.shuffle(visits)
    return visits
