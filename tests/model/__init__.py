"""A model of the delivery protocol, and an exhaustive search of what it can do.

The protocol is the one of `docs/how-it-works.md`, cut down to what its promises rest on: a few messages, a few
workers, every order of their steps, and a budget of faults for each run. Every state that can be reached is visited.

Read `rows.py` (what a write makes of a row), `workers.py` (what a worker holds in memory), `claiming.py`,
`sending.py`, `settling.py`, `transactions.py` (the protocol), `faults.py` and `outside.py` (everybody else),
`properties.py` (what must hold), `search.py`, and `scopes.py` (what is searched). `python -m model` searches it all.

Time is coarse. A lease lasts two ticks. What a living worker has begun it ends, and what it has not begun it gives
back, within a tick; a frozen worker sleeps through as many as it likes. Where the model leaves something out it
allows more than the real worker does: it may claim at any time, and in any state of its settles.
"""
