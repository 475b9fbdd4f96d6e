"""Instants in words that programs read."""

from datetime import UTC, datetime


def instant_told(at: datetime) -> str:
    """RFC 3339 in UTC with `Z`, as answers have it and as events and results keep it."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
