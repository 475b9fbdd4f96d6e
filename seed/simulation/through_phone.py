"""The baseline: a dispatcher who has every calendar before the eyes and a telephone, as `seed.by_hand` plans.

A call is answered at once, however many come together. The nearest qualified technician who is free is telephoned, then
the next nearest, until one says yes; then the customer is told the window. Who is asked has the time in the calendar
meanwhile. Where nobody is free the dispatcher looks again every half an hour, as long as the customer is patient. It is
generous to the dispatcher: any number of telephones, and nobody is ever out of reach but at night.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import takewhile

from dispatch.pay import usual_pay_cents
from dispatch.service_request import Priority
from optimizer import TimeWindow, Visit
from seed.by_hand import Choice, Dispatcher
from seed.calls import NEW_YORK, Call
from seed.city import Freelancer
from seed.load import EMERGENCY_WINDOW_S, WINDOW_S
from seed.problem import seconds
from seed.rehearse import promised_window
from seed.simulation.clock import Agenda
from seed.simulation.crew import Crew, Stop
from seed.simulation.people import Job, People
from seed.simulation.record import Record, Story

ASK_S = 180
"""A telephone call, whatever the answer."""
LOOK_AGAIN_S = 1_800


@dataclass(slots=True)
class _Rates:
    pay_per_visit_cents: int | None
    pay_per_hour_cents: int | None
    pay_per_km_cents: int | None


def pay_cents(person: Freelancer, call: Call, way_m: int) -> int:
    """What the visit pays by the freelancer's rates."""
    rates = _Rates(person.cents_per_visit, person.cents_per_h, person.cents_per_km)
    return usual_pay_cents(rates, call.service.duration_s, way_m)


class ThroughPhone:
    """Dispatches by hand."""

    def __init__(self, agenda: Agenda, people: People) -> None:
        self._agenda, self._people = agenda, people
        self._visits = {visit.id: visit for visit in people.problem.visits}
        self._calls = {call.id: call for call in people.day.calls}
        self._dispatcher = Dispatcher(people.problem)
        self._calendars = {day.shift.technician: day for day in self._dispatcher.days}
        self._persons = {person.id: person for person in people.day.freelancers}
        self._refused: dict[str, set[str]] = {id_: set() for id_ in self._calls}
        self.story = Story({call.id: Record(call) for call in people.day.calls})
        self.crew = Crew(agenda, people, self)

    def open(self) -> None:
        """Everything that will come by itself."""
        self.crew.open()
        for call in self._people.day.calls:
            self._agenda.at(self._people.hears_at(seconds(call.called_at)), partial(self._seek, call))

    def _seek(self, call: Call) -> None:
        now = self._agenda.now
        found = self._choice(call, without=self._refused[call.id])
        if found is None:
            if now + LOOK_AGAIN_S <= self._people.gives_up_at(call):
                self._agenda.at(now + LOOK_AGAIN_S, partial(self._seek, call))
            else:
                self.story.records[call.id].gave_up = True
            return
        found.take()
        record = self.story.records[call.id]
        record.asked_at = record.asked_at or now
        self.story.asked.sent += 1
        self._agenda.at(now + ASK_S, partial(self._hear, call, found))

    def _choice(self, call: Call, without: set[str]) -> Choice | None:
        """Nobody sets off before it has been asked."""
        visit = self._visits[call.id]
        asked = self._agenda.now + ASK_S
        window = visit.windows[0]
        if window.end < asked:
            return None
        visit = replace(visit, windows=(TimeWindow(max(window.start, asked), window.end),))
        choices, _ = self._dispatcher.choices(visit, asked, without)
        return choices[0] if choices else None

    def _hear(self, call: Call, choice: Choice) -> None:
        person, stop = self._persons[choice.day.shift.technician], choice.stop
        window = self._window(call, stop.start)
        pay = pay_cents(person, call, stop.travel_m)
        job = Job(pay, call.service.duration_s, stop.travel_s, window[0] - self._agenda.now)
        if not self._people.accepts(call, person, job):
            self.story.asked.declined += 1
            self._refused[call.id].add(person.id)
            self._dispatcher.drop(choice.day, call.id)
            self._seek(call)
            return
        self.story.asked.accepted += 1
        record = self.story.records[call.id]
        record.answered_at = record.committed_at = self._agenda.now
        record.window, record.person, record.pay_cents = window, person.id, pay
        self.crew.look(person.id)

    def _window(self, call: Call, start: int) -> tuple[int, int]:
        length_s = EMERGENCY_WINDOW_S if call.service.priority is Priority.EMERGENCY else WINDOW_S
        window = promised_window(start, NEW_YORK, length_s=length_s)
        return window.start, window.end

    # The technicians' side

    def stops(self, person: Freelancer) -> Sequence[Stop]:
        """In order of the calendar, up to a visit about which it is on the telephone."""
        day = self._calendars[person.id]
        planned = {stop.visit: stop for stop in day.route.stops} if day.route is not None else {}
        coming = [(visit, start) for visit, start in day.booked if self._record_of(visit).ended_at is None]
        agreed = takewhile(lambda booked: self._record_of(booked[0]).committed_at is not None, coming)
        return [Stop(self._calls[visit.id], start, planned[visit.id].travel_s) for visit, start in agreed]

    def _record_of(self, visit: Visit) -> Record:
        return self.story.records[visit.id]

    def goes_on_duty(self, person: Freelancer) -> None:
        """Nobody is told."""

    def goes_off_duty(self, person: Freelancer) -> None:
        """Nobody is told."""

    def sets_off(self, person: Freelancer, call: Call, place: int, expected: int) -> None:
        """Nobody is told."""

    def is_there(self, person: Freelancer, call: Call) -> None:
        """Nobody is told."""

    def has_ended(self, person: Freelancer, call: Call, *, is_closed: bool) -> None:
        """Nobody is told."""
