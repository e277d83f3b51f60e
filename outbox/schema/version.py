"""The schema version that this program is written for, known without importing alembic."""

from __future__ import annotations

HEAD = "0003"
"""Newest revision in `migrations/versions`. Revisions are numbers, so that older and newer can be told apart."""
