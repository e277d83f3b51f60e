"""The real store, driven through any order of what producers, workers, operators and time can do.

Each move does one thing to the database and to the oracle, and compares the answers; after each the tables are
compared.
"""

from machine.machine import Machine

__all__ = ["Machine"]
