"""A clock that tests set: it stands still until it is told to move."""

from datetime import UTC, datetime, timedelta

START = datetime(2027, 3, 2, 13, 0, tzinfo=UTC)
"""A Tuesday, 08:00 in New York, twelve days before its clocks go forward."""


class FakeClock:
    """Call it, or `now()`, for the instant; `advance` and `move_to` move it."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def now(self) -> datetime:
        return self._now

    def advance(
        self, *, seconds: float = 0, minutes: float = 0, hours: float = 0, days: float = 0
    ) -> datetime:
        """Moves on by elapsed time (a day is 24 hours) and returns the new instant."""
        self._now += timedelta(seconds=seconds, minutes=minutes, hours=hours, days=days)
        return self._now

    def move_to(self, instant: datetime) -> datetime:
        """Sets the instant, which must be aware; returns it in UTC."""
        if instant.tzinfo is None:
            raise ValueError("the clock keeps aware instants only")
        self._now = instant.astimezone(UTC)
        return self._now
