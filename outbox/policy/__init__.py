"""Pure decisions: an answer's status to a verdict, an attempt to its outcome, foreign text to a record."""

from outbox.policy.changed import changed
from outbox.policy.explained import Charged, Line, explained
from outbox.policy.records import ERROR_BYTES, RESPONSE_BYTES, clean
from outbox.policy.retry_after import retry_after
from outbox.policy.schedule import LONGEST_WAIT, Jittered, Policy
from outbox.policy.times import Moment, Times, times
from outbox.policy.verdict import NO_ANSWER, STATUSES, TABLE, Action, Rule, Verdict
from outbox.policy.weight import Weight, weigh

__all__ = [
    "ERROR_BYTES",
    "LONGEST_WAIT",
    "NO_ANSWER",
    "RESPONSE_BYTES",
    "STATUSES",
    "TABLE",
    "Action",
    "Charged",
    "Jittered",
    "Line",
    "Moment",
    "Policy",
    "Rule",
    "Times",
    "Verdict",
    "Weight",
    "changed",
    "clean",
    "explained",
    "retry_after",
    "times",
    "weigh",
]
