"""Other job queues, each driven by a script that runs in an environment of its own and knows nothing of the outbox."""
