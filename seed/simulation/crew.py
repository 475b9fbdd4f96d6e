"""How technicians live through the day: one visit after another as they were given to them, whoever gave them.

A technician sets off as planned, is never at the door before the promised window, works as long as it takes, takes its
break when there is time for it or else at the last moment, and goes home when the shift is over and nothing is left. A
late visit is made all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from seed.calls import Call
from seed.city import Freelancer
from seed.problem import seconds
from seed.simulation.clock import Agenda
from seed.simulation.people import AT_CLOSED_DOOR_S, People
from seed.simulation.record import Story


@dataclass(frozen=True, slots=True)
class Stop:
    """A visit that a technician has to make. starts, way_s: as planned."""

    call: Call
    starts: int
    way_s: int


class Dispatch(Protocol):
    """Who dispatches, as the technicians know it."""

    @property
    def story(self) -> Story: ...

    def stops(self, person: Freelancer) -> Sequence[Stop]:
        """What it has committed to and not begun, in order."""
        ...

    def goes_on_duty(self, person: Freelancer) -> None: ...

    def goes_off_duty(self, person: Freelancer) -> None: ...

    def sets_off(self, person: Freelancer, call: Call, place: int, expected: int) -> None:
        """place: where it is, in the travel matrix. expected: when it thinks that it will be there."""
        ...

    def is_there(self, person: Freelancer, call: Call) -> None: ...

    def has_ended(self, person: Freelancer, call: Call, *, is_closed: bool) -> None: ...


@dataclass(slots=True)
class _State:
    """Of one technician. looks_at: when it will look at its list next."""

    person: Freelancer
    place: int
    on_duty: bool = False
    is_busy: bool = False
    has_paused: bool = False
    looks_at: int | None = None


class Crew:
    """Everybody who works that day."""

    def __init__(self, agenda: Agenda, people: People, dispatch: Dispatch) -> None:
        self._agenda, self._people, self._dispatch = agenda, people, dispatch
        self._states = {
            person.id: _State(person, people.homes[person.id]) for person in people.day.freelancers
        }

    def open(self) -> None:
        for state in self._states.values():
            self._agenda.at(seconds(state.person.starts_at), partial(self._begin, state))

    def look(self, person_id: str) -> None:
        """Something on the list of this technician has changed."""
        self._look(self._states[person_id])

    @property
    def on_duty(self) -> Mapping[str, bool]:
        return {id_: state.on_duty for id_, state in self._states.items()}

    def _begin(self, state: _State) -> None:
        state.on_duty = True
        self._dispatch.story.active_s.setdefault(state.person.id, 0)
        self._dispatch.goes_on_duty(state.person)
        self._agenda.at(seconds(state.person.ends_at), partial(self._look, state))
        if lunch := state.person.lunch:
            self._agenda.at(seconds(lunch.earliest_start), partial(self._look, state))
        self._look(state)

    def _look(self, state: _State) -> None:
        if state.is_busy or not state.on_duty:
            return
        now = self._agenda.now
        stop = next(iter(self._dispatch.stops(state.person)), None)
        leaves = None if stop is None else max(now, stop.starts - stop.way_s)
        if self._pauses(state, stop, leaves):
            return
        if stop is None or leaves is None:
            if now >= seconds(state.person.ends_at):
                self._go_home(state)
        elif leaves > now:
            self._look_again(state, leaves)
        else:
            self._set_off(state, stop.call)

    def _look_again(self, state: _State, at: int) -> None:
        if state.looks_at is None or at < state.looks_at or state.looks_at <= self._agenda.now:
            state.looks_at = at
            self._agenda.at(at, partial(self._look, state))

    def _pauses(self, state: _State, stop: Stop | None, leaves: int | None) -> bool:
        """Begins the break if it is time for it: there is time until the next visit, or there will be none after it."""
        lunch, now = state.person.lunch, self._agenda.now
        if lunch is None or state.has_paused or now < seconds(lunch.earliest_start):
            return False
        latest = seconds(lunch.latest_end) - lunch.duration_s
        if stop is not None and leaves is not None and leaves - now < lunch.duration_s:
            back = max(leaves + stop.way_s, stop.starts) + stop.call.service.duration_s
            if back <= latest:
                return False
        state.has_paused = True
        if now > latest + 3600:
            return False
        state.is_busy = True
        self._agenda.at(now + lunch.duration_s, partial(self._free, state))
        return True

    def _free(self, state: _State) -> None:
        state.is_busy = False
        self._look(state)

    def _set_off(self, state: _State, call: Call) -> None:
        people, now = self._people, self._agenda.now
        origin, target = state.place, people.place_of(call)
        state.is_busy = True
        planned_s = int(people.problem.travel.duration_s[origin, target])
        self._dispatch.sets_off(state.person, call, origin, now + planned_s)
        record = self._dispatch.story.records[call.id]
        record.way_s, record.way_m = people.way_s(origin, target), people.way_m(origin, target)
        assert record.window is not None
        arrives = max(now + record.way_s, record.window[0])
        self._agenda.at(arrives, partial(self._arrive, state, call))

    def _arrive(self, state: _State, call: Call) -> None:
        self._dispatch.is_there(state.person, call)
        record = self._dispatch.story.records[call.id]
        record.began_at = self._agenda.now
        record.is_closed = self._people.is_closed(call, is_chosen=record.is_chosen)
        lasts_s = AT_CLOSED_DOOR_S if record.is_closed else self._people.work_s(call)
        self._agenda.at(self._agenda.now + lasts_s, partial(self._end, state, call))

    def _end(self, state: _State, call: Call) -> None:
        story = self._dispatch.story
        record = story.records[call.id]
        assert record.began_at is not None
        record.ended_at = self._agenda.now
        story.active_s[state.person.id] += record.way_s + record.ended_at - record.began_at
        self._dispatch.has_ended(state.person, call, is_closed=record.is_closed)
        state.place = self._people.place_of(call)
        self._free(state)

    def _go_home(self, state: _State) -> None:
        home = self._people.homes[state.person.id]
        self._dispatch.story.home_m[state.person.id] = self._people.way_m(state.place, home)
        state.place = home
        state.on_duty = False
        self._dispatch.goes_off_duty(state.person)
