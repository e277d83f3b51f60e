"""The version, in one place: the wheel, `outbox version` and the User-Agent read it."""

__version__ = "0.1.0"
