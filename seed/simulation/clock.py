"""The simulated clock: it stands still until the next thing happens."""

import heapq
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count


class Clock:
    """Call it for the instant, aware, in UTC. It goes forward only."""

    def __init__(self, starts_at: int) -> None:
        self.at = starts_at

    def __call__(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def move_to(self, at: int) -> None:
        if at < self.at:
            raise ValueError(f"the clock stands at {self.at} and does not go back to {at}")
        self.at = at


class Agenda:
    """What will happen, the earliest first; of one instant what was put down first."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._entries: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = count()

    @property
    def now(self) -> int:
        return self.clock.at

    def at(self, at: int, do: Callable[[], None]) -> None:
        """Puts down what is to be done then; what is past is done next."""
        heapq.heappush(self._entries, (max(at, self.now), next(self._numbers), do))

    def run(self, until: int, tell: Callable[[int], None] = lambda at: None) -> None:
        """Lets everything happen up to and with `until`. tell: gets each instant at which something happens."""
        while self._entries and self._entries[0][0] <= until:
            at, _, do = heapq.heappop(self._entries)
            self.clock.move_to(at)
            tell(at)
            do()


class Ids:
    """UUIDv7 by the simulated clock, one after another, so that what is ordered by ids is the same each time."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._numbers = count(1)

    def __call__(self) -> str:
        number = next(self._numbers)
        high, low = number >> 62, number & (1 << 62) - 1
        value = self.clock.at * 1000 << 80 | 7 << 76 | high << 64 | 2 << 62 | low
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
