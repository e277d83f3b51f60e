"""Pure decisions: an answer's status to a verdict, an attempt to its outcome, foreign text to a record."""

from outbox.policy.records import ERROR_BYTES, RESPONSE_BYTES, clean
from outbox.policy.retry_after import retry_after
from outbox.policy.schedule import LONGEST_WAIT, Jittered, Policy
from outbox.policy.verdict import NO_ANSWER, TABLE, Action, Rule, Verdict, judge

__all__ = [
    "ERROR_BYTES",
    "LONGEST_WAIT",
    "NO_ANSWER",
    "RESPONSE_BYTES",
    "TABLE",
    "Action",
    "Jittered",
    "Policy",
    "Rule",
    "Verdict",
    "clean",
    "judge",
    "retry_after",
]
