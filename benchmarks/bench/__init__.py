"""How fast the outbox is, beside the bare HTTP client and beside other job queues, in one run: `make bench`."""
