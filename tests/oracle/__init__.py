"""The protocol of docs/how-it-works.md and docs/promise.md, told once more in plain Python, without a database."""

from oracle.producer import Ledger, Transaction, comes_before
from oracle.protocol import Held, Oracle, Plan
from oracle.row import Row, Token

__all__ = ["Held", "Ledger", "Oracle", "Plan", "Row", "Token", "Transaction", "comes_before"]
