"""What was planned: a route for each used shift, and why each visit left out was left out.

Units as in `problem`: seconds, metres, cents.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

ReasonCode = Literal[
    "skill_missing",
    "level_too_low",
    "skill_expired",
    "excluded",
    "suspended",
    "outside_radius",
    "no_shift",
    "no_time",
    "window",
    "visit_cap",
    "travel_cap",
    "duration_cap",
    "capacity",
    "crew",
    "order",
    "overlap",
    "notice",
]
"""`travel_cap`: seconds or metres, the detail names which."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something cannot be, in words for a person. technicians: whom it concerns.
    by: how far off, in the unit that the detail names."""

    code: ReasonCode
    detail: str
    technicians: tuple[str, ...] = ()
    by: int | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """A visit in a route. It is reached at `arrival`, worked on from `start` to `end`; travel_s and travel_m are
    the leg that leads to it."""

    visit: str
    arrival: int
    start: int
    end: int
    travel_s: int
    travel_m: int


@dataclass(frozen=True, slots=True)
class BreakTaken:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Route:
    """One shift's work. departs_at: leaving the start place, as late as the first stop allows; returns_at: at the
    end place. travel_s and travel_m are totals with the way home."""

    shift: str
    technician: str
    stops: tuple[Stop, ...]
    departs_at: int
    returns_at: int
    travel_s: int
    travel_m: int
    breaks: tuple[BreakTaken, ...] = ()


@dataclass(frozen=True, slots=True)
class Unserved:
    """A visit left out. verdict: `impossible` for anyone, `dearer` than its prize by extra_cents, or `not_found` in
    the time given. would_fit_if: what would change that."""

    visit: str
    verdict: Literal["impossible", "dearer", "not_found"]
    reasons: tuple[Reason, ...]
    would_fit_if: tuple[Reason, ...] = ()
    extra_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Progress:
    """Told while a solve runs: cost_cents is the best so far, fraction the share of the time or work used (0 to 1)."""

    elapsed_s: float
    fraction: float
    iterations: int
    cost_cents: int
    unserved: int


@dataclass(frozen=True, slots=True)
class Epoch:
    """A stretch of the search: how many iterations each worker did, at which temperature (ticks)."""

    iterations: tuple[int, ...]
    temperature: float


@dataclass(frozen=True, slots=True)
class Merge:
    """A recombination of the pool by CP-SAT: after how many epochs, among how many routes, and what it gave. routes:
    the visits of each shift by id, where it found something better."""

    after_epochs: int
    columns: int
    status: str
    before_cents: int
    after_cents: int
    elapsed_s: float = field(compare=False)
    routes: Mapping[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """routes: one for each shift that has stops. objective: cents by the name of the term, see `objective`. epochs,
    merges: what the search did, which `solve(..., replay=plan)` does again."""

    routes: tuple[Route, ...]
    unserved: tuple[Unserved, ...]
    objective: Mapping[str, int] = field(default_factory=dict)
    engine: str = "given"
    seed: int = 0
    iterations: int = 0
    elapsed_s: float = 0.0
    merges: tuple[Merge, ...] = ()
    epochs: tuple[Epoch, ...] = ()

    @property
    def cost_cents(self) -> int:
        """The sum of all terms."""
        return sum(self.objective.values())

    @property
    def served(self) -> int:
        return sum(len(route.stops) for route in self.routes)
