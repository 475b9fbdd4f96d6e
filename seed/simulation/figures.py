"""What a lived day comes to."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from dispatch.fairness import gini
from dispatch.service_request import Priority
from seed.problem import seconds
from seed.simulation.people import People
from seed.simulation.record import Asked, Record, Story


@dataclass(frozen=True, slots=True)
class Spread:
    """Of times in seconds: the middle one and that which nine of ten stay below. None where there are none."""

    median_s: int | None
    ninth_s: int | None

    @classmethod
    def of(cls, times_s: Iterable[int]) -> "Spread":
        ordered = sorted(times_s)
        return cls(_rank(ordered, 0.5), _rank(ordered, 0.9))


def _rank(ordered: Sequence[int], share: float) -> int | None:
    """The nearest rank."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one who dispatched. urgent: calls of high or emergency priority. promised: customers told a window.
    kept: of these, where somebody was at the door in it; late: after it; nobody_came: neither. closed: doors that were
    not opened. served: work was done. travel_m: with the ways home. pay_cents: of what was served. left_out_cents: the
    optimizer's price on every call that was not served, urgent ones dearer. to_answer: from call to window;
    to_fill: from the first technician asked to the yes that held. Gini: over everybody who works, of pay and of active
    hours. per_active_hour_cents: pay for an hour at the door or on the way."""

    calls: int
    urgent: int
    promised: int
    kept: int
    late: int
    nobody_came: int
    served: int
    urgent_served: int
    closed: int
    gave_up: int
    travel_m: int
    travel_m_per_visit: int
    pay_cents: int
    left_out_cents: int
    to_answer: Spread
    to_fill: Spread
    asked: Asked
    gini_of_pay: float | None
    gini_of_hours: float | None
    per_active_hour_cents: int | None

    @property
    def cost_cents(self) -> int:
        return self.pay_cents + self.left_out_cents


def figures_of(people: People, story: Story) -> Figures:
    records = list(story.records.values())
    pay = {person.id: 0 for person in people.day.freelancers}
    for record in records:
        if record.is_served and record.person is not None:
            pay[record.person] += record.pay_cents
    active_s = [story.active_s.get(person, 0) for person in pay]
    visits = sum(record.began_at is not None for record in records)
    travel_m = sum(record.way_m for record in records) + sum(story.home_m.values())
    prizes = {visit.id: people.problem.prize_cents(visit) for visit in people.problem.visits}
    return Figures(
        calls=len(records),
        urgent=sum(map(_is_urgent, records)),
        promised=sum(record.window is not None for record in records),
        kept=sum(record.late_s == 0 for record in records),
        late=sum(bool(record.late_s) for record in records),
        nobody_came=sum(record.window is not None and record.began_at is None for record in records),
        served=sum(record.is_served for record in records),
        urgent_served=sum(record.is_served for record in records if _is_urgent(record)),
        closed=sum(record.is_closed for record in records),
        gave_up=sum(record.gave_up for record in records),
        travel_m=travel_m,
        travel_m_per_visit=round(travel_m / max(1, visits)),
        pay_cents=sum(pay.values()),
        left_out_cents=sum(prizes[record.call.id] for record in records if not record.is_served),
        to_answer=Spread.of(
            record.answered_at - seconds(record.call.called_at)
            for record in records
            if record.answered_at is not None
        ),
        to_fill=Spread.of(
            record.committed_at - record.asked_at
            for record in records
            if record.committed_at is not None and record.asked_at is not None
        ),
        asked=story.asked,
        gini_of_pay=gini(list(pay.values())),
        gini_of_hours=gini(active_s),
        per_active_hour_cents=round(sum(pay.values()) * 3600 / sum(active_s)) if sum(active_s) else None,
    )


def _is_urgent(record: Record) -> bool:
    return record.call.service.priority in (Priority.EMERGENCY, Priority.HIGH)


def figures_json(figures: Figures) -> dict[str, object]:
    """Durations in seconds, distances in metres, money in cents."""
    rounded = {
        name: None if value is None else round(value, 4)
        for name, value in (("gini_of_pay", figures.gini_of_pay), ("gini_of_hours", figures.gini_of_hours))
    }
    return {**asdict(figures), **rounded, "cost_cents": figures.cost_cents}
