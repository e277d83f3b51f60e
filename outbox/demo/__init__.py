"""The demo: an application, its outbox, a worker that is killed, a destination that fails at times, and the count.

`outbox.demo.tour` runs it. What it shows is what it finds in the application's tables, in the outbox's, and in the
destination's record; `outbox.demo.verdict` compares the three.
"""
