"""A worker's metrics, read when they are asked for. No id, no event's name and no text from outside is among the labels."""

from __future__ import annotations

import itertools
import platform
from collections.abc import Iterable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from outbox._version import __version__
from outbox.service.metrics.figures import Figures, Looks
from outbox.worker import Histogram, Meter, Worker

Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily | InfoMetricFamily

_STATES = ("due", "claimed", "scheduled", "delivered", "failed", "discarded")


def registry(worker: Worker, meter: Meter, looks: Looks) -> CollectorRegistry:
    """Everything that `/metrics` tells: the worker's, the outbox's, and the process's."""
    made = CollectorRegistry()
    made.register(_Outbox(worker, meter, looks))
    ProcessCollector(registry=made)
    return made


class _Outbox(Collector):
    def __init__(self, worker: Worker, meter: Meter, looks: Looks) -> None:
        self._worker = worker
        self._meter = meter
        self._looks = looks

    def describe(self) -> Iterable[Family]:
        """Nothing: that spares the registry a look when it is made."""
        return ()

    def collect(self) -> Iterator[Family]:
        """Read everything."""
        yield InfoMetricFamily(
            "outbox_build",
            "The program's version.",
            value={"version": __version__, "python": platform.python_version()},
        )
        yield GaugeMetricFamily(
            "outbox_ready",
            "1 while the tables are ours and the last round trip to the database worked.",
            value=float(self._worker.is_ready),
        )
        if (figures := self._looks.figures) is not None:
            yield from _backlog(figures)
        yield from self._seen()
        yield from self._counted()
        yield _histogram("outbox_try_seconds", "What one HTTP request took.", "destination", self._meter.tries)
        yield _histogram(
            "outbox_delivery_seconds",
            "From enqueue until the delivery was recorded, by the clocks of the two hosts.",
            "destination",
            self._meter.deliveries,
        )
        yield _histogram("outbox_database_seconds", "What a call of the database took.", "call", self._meter.calls)

    def _seen(self) -> Iterator[Family]:
        gauges = {
            "in_flight": _by_destination("outbox_in_flight", "Messages that are being sent."),
            "queued": _by_destination("outbox_queued", "Messages that are claimed and wait for a sender."),
            "paused": _by_destination("outbox_destination_paused", "1 while no worker may send to it."),
            "away": _by_destination("outbox_destination_away", "1 while this worker alone cannot reach it."),
        }
        for seen in self._worker.seen():
            for name, gauge in gauges.items():
                gauge.add_metric([seen.name], float(getattr(seen, name)))
        yield from gauges.values()

    def _counted(self) -> Iterator[Family]:
        attempts = CounterMetricFamily(
            "outbox_attempts",
            "Attempts that were recorded: delivered, to be tried again (retry), given up (failed).",
            labels=["destination", "outcome", "status"],
        )
        for (name, outcome, status), count in self._meter.attempts.copy().items():
            attempts.add_metric([name, outcome, "none" if status is None else f"{status}xx"], count)
        yield attempts
        counts = self._worker.report.counts
        yield CounterMetricFamily("outbox_released", "Messages given back unsent.", value=counts.released)
        yield CounterMetricFamily(
            "outbox_lease_lost",
            "Outcomes that came too late: another worker had taken over the message.",
            value=counts.lease_lost,
        )


def _backlog(figures: Figures) -> Iterator[Family]:
    oldest = _by_destination("outbox_oldest_due_seconds", "How long the oldest message that is due has been due.")
    for name, seconds in figures.oldest_due.items():
        oldest.add_metric([name], seconds)
    yield oldest
    if figures.counted is not None:
        messages = GaugeMetricFamily(
            "outbox_messages",
            "Messages in the table; in a big one delivered is the database's estimate.",
            labels=["state"],
        )
        for state in _STATES:
            if (count := getattr(figures.counted, state)) is not None:
                messages.add_metric([state], count)
        yield messages


def _by_destination(name: str, text: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=["destination"])


def _histogram(name: str, text: str, label: str, found: Mapping[str, Histogram]) -> HistogramMetricFamily:
    family = HistogramMetricFamily(name, text, labels=[label])
    for value, histogram in found.items():
        totals = itertools.accumulate([*histogram.counts])
        bounds = [*map(str, histogram.bounds), "+Inf"]
        family.add_metric([value], [*zip(bounds, totals, strict=True)], histogram.total)
    return family
