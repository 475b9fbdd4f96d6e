"""What people would do, whoever dispatches. Each answer hangs on the seed and the names of those concerned alone, never
on what happened before, so that both who dispatch meet the same people: the same call lasts as long with either, the
same way is as slow, the same freelancer says the same to the same job.

All of it is assumed, and stated here; only who did not open the door is from the city's data. It is on purpose not what
`dispatch.acceptance` believes before it has seen answers.
"""

import math
import random
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from functools import cached_property

from dispatch.instants import instant_told
from optimizer import Problem
from seed.calls import NEW_YORK, Call, in_new_york
from seed.city import Day, Freelancer
from seed.problem import World, seconds
from seed.rehearse import WAY_SIGMA, WORK_SIGMA, factor

PHONES_ON, PHONES_OFF = time(6), time(22)
"""Between these hours of the wall clock freelancers hear their phones; what comes at night they find in the morning."""

ANSWER_MEDIAN_S, ANSWER_SIGMA = 360, 1.0
"""After how long an offer on the phone is answered: lognormal, so that one in six takes more than 16 minutes. Who is
telephoned answers at once."""

WILLING = 2.0
"""Log-odds that a job next door, at the own rate and not at once, is accepted: 0.88."""
WILLING_SIGMA, WHIM_SIGMA = 0.8, 0.5
"""Spread of these log-odds between people, and for one person between jobs."""
PAY_WEIGHT = 1.5
"""Added for each e-fold of pay for an hour of work and way, against the own rate."""
WAY_WEIGHT = -1.0
"""Added for each hour of the way."""
HURRY_S, HURRY_WEIGHT = 3_600, -0.5
"""Added for what begins within this time."""

CHOOSE_S = (60, 240)
"""How long customers look at the windows."""
PATIENCE_S = 3 * 3_600
"""How long a customer to whom nothing could be offered waits for a call back."""
RECOMMENDED_SHARE = 0.7
"""The share of the customers who take the soonest recommended window; the others take the soonest of all."""

AT_CLOSED_DOOR_S = 600
"""How long a technician waits before a closed door."""


@dataclass(frozen=True, slots=True)
class Assumptions:
    """closed_if_chosen: of the doors that stayed closed in 2012, the share that do where the customer chose the window.
    1 by default: whoever dispatches finds the same doors closed."""

    closed_if_chosen: float = 1.0


@dataclass(frozen=True, slots=True)
class Job:
    """What a freelancer is asked. notice_s: from now to the window."""

    pay_cents: int
    work_s: int
    way_s: int
    notice_s: int


class People:
    """Of one day and seed. world: with a visit for each call and a shift for each freelancer, under their ids."""

    def __init__(self, day: Day, world: World, seed: int, assumptions: Assumptions) -> None:
        self.day, self.world, self.assumptions = day, world, assumptions
        self._seed = seed
        self._place_of_call = {visit.id: visit.place for visit in world.problem.visits}

    @property
    def problem(self) -> Problem:
        return self.world.problem

    @cached_property
    def homes(self) -> dict[str, int]:
        """The place of everybody's home in the travel matrix."""
        return {shift.id: shift.start_place for shift in self.problem.shifts if shift.start_place is not None}

    def place_of(self, call: Call) -> int:
        return self._place_of_call[call.id]

    def _chance(self, what: str) -> random.Random:
        return random.Random(f"{self._seed} {what}")

    # Work and ways

    def work_s(self, call: Call) -> int:
        """How long the work really takes."""
        return round(call.service.duration_s * factor(self._seed, f"work {call.id}", WORK_SIGMA))

    def way_s(self, origin: int, target: int) -> int:
        """How long the way between two places really takes."""
        planned_s = int(self.problem.travel.duration_s[origin, target])
        return round(planned_s * factor(self._seed, f"way {origin} {target}", WAY_SIGMA))

    def way_m(self, origin: int, target: int) -> int:
        return int(self.problem.travel.distance_m[origin, target])

    def is_closed(self, call: Call, *, is_chosen: bool) -> bool:
        """Whether nobody opens. is_chosen: the customer chose the window."""
        if not call.closed_door or not is_chosen:
            return call.closed_door
        return self._chance(f"door {call.id}").random() < self.assumptions.closed_if_chosen

    # Customers

    def chooses_after_s(self, call: Call) -> int:
        return self._chance(f"choose {call.id}").randint(*CHOOSE_S)

    def wants_recommended(self, call: Call) -> bool:
        return self._chance(f"prefer {call.id}").random() < RECOMMENDED_SHARE

    def gives_up_at(self, call: Call) -> int:
        """Who calls before the opening hour waits from then on."""
        return max(seconds(call.called_at), seconds(call.earliest_start)) + PATIENCE_S

    # Freelancers

    def hears_at(self, at: int) -> int:
        """When somebody hears what the phone tells `at` that instant."""
        local = datetime.fromtimestamp(at, NEW_YORK)
        if local.time() < PHONES_ON:
            return seconds(in_new_york(local.date(), PHONES_ON))
        if local.time() >= PHONES_OFF:
            return seconds(in_new_york(local.date() + timedelta(days=1), PHONES_ON))
        return at

    def answers_at(self, call: Call, person: str, sent_at: int) -> int:
        """When an offer on the phone is answered, if it still stands then."""
        spread = self._chance(f"answer {call.id} {person}").gauss(0, ANSWER_SIGMA)
        return self.hears_at(sent_at) + round(ANSWER_MEDIAN_S * math.exp(spread))

    def accepts(self, call: Call, person: Freelancer, job: Job) -> bool:
        """Whether the freelancer says yes. Leaning and whim are the same however it is asked; what the job is
        like may differ."""
        odds = self._leaning(person) + self._chance(f"whim {call.id} {person.id}").gauss(0, WHIM_SIGMA)
        per_hour = job.pay_cents * 3600 / max(1, job.work_s + job.way_s)
        odds += PAY_WEIGHT * math.log(max(per_hour, 1) / person.cents_per_h)
        odds += WAY_WEIGHT * job.way_s / 3600
        odds += HURRY_WEIGHT * (job.notice_s < HURRY_S)
        chance = 1 / (1 + math.exp(-odds))
        return self._chance(f"yes {call.id} {person.id}").random() < chance

    def _leaning(self, person: Freelancer) -> float:
        return WILLING + self._chance(f"leaning {person.id}").gauss(0, WILLING_SIGMA)


def told(at: int) -> str:
    """An instant as the API takes it."""
    return instant_told(datetime.fromtimestamp(at, UTC))


def instant_of(text: str) -> int:
    """An instant that the API told."""
    return seconds(datetime.fromisoformat(text))
