"""Whatever customers, technicians and the clock do, in any order, the calendars stay sound and slots tell the truth.

A machine of hypothesis books, holds, releases, moves, cancels, lets time pass and takes technicians away in two
organizations that share one of them. After every step the sweep judges the calendars, and a newcomer asks for slots:
one that is offered is booked, one that is withheld must be refused to whoever asks for it all the same, and nobody
could have kept it.
"""

from contextlib import suppress
from datetime import timedelta
from random import Random

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import Engine
from sqlmodel import Session

from dispatch import booking, holds, intake, joining, rostering
from dispatch.appointment import Appointment, Status
from dispatch.catalogue import Service
from dispatch.errors import AlreadyBooked, Conflict, InvalidState, SlotTaken, TooManyHolds
from dispatch.hold import Hold
from dispatch.keys import Principal
from dispatch.organization import Organization
from dispatch.planning import Job, Window, job_of, slot_windows
from dispatch.profiles import Profile, profile_of
from dispatch.settings import Settings
from dispatch.slots import find_slots, sign_slot
from dispatch.technician import Technician
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, ZONE, World, at
from tests.races.keeping import Stop, can_be_kept
from tests.races.sweep import Calendars, faults, read
from tests.support.examples import examples

pytestmark = pytest.mark.nightly
STEPS = 15
TRIED = {"sqlite": 30, "postgresql": 6}
KILOMETRES = st.integers(0, 12)
PICK = st.integers(0, 10**6)
"""Which of those there are, modulo their number."""


class Days(RuleBasedStateMachine):
    """One day of two technicians: Ada works for both organizations, Bo for the first. All in one transaction, that is
    rolled back; each step in a savepoint, as a request would be."""

    def __init__(self, engine: Engine, installation: Settings) -> None:
        super().__init__()
        self.session = Session(engine)
        self.world = World(self.session, installation)
        self.now = NOW
        self.acme, self.rival = self.world.organization, self.world.new_organization("rival")
        self.world.new_territory(self.rival)
        self.ada = self.world.technician("Ada", hours=(8, 14))
        self.bo = self.world.technician("Bo", home_km=6, hours=(10, 16))
        self.world.engage(self.ada, self.rival, {"plumbing": 3})
        self.services = [
            self.world.service(hours=1),
            self.world.service(hours=2, buffer_before_s=600, buffer_after_s=300),
            self.world.service(hours=1.5, organization=self.rival),
        ]
        self.random = Random(0)
        self.visits: list[Appointment] = []
        self.holds: list[Hold] = []
        self.waiting: set[str] = set()
        self.away: set[tuple[int | None, str]] = set()

    def teardown(self) -> None:
        self.session.close()

    @initialize(seed=PICK, orders=st.lists(st.tuples(PICK, KILOMETRES), min_size=2, max_size=5))
    def begin_with_some_visits(self, seed: int, orders: list[tuple[int, int]]) -> None:
        self.random = Random(seed)
        for service, km in orders:
            self.come(service, km, self.random.randint(0, 20))

    # What people do

    @rule(service=PICK, km=KILOMETRES, slot=PICK)
    def come(self, service: int, km: int, slot: int) -> None:
        """A newcomer books."""
        appointment = self._registered(self.services[service % len(self.services)], km)
        self.visits.append(appointment)
        if (slot_id := self._offered(appointment, slot)) is not None:
            self._book(appointment, slot_id)

    @rule(service=PICK, km=KILOMETRES, slot=PICK)
    def come_and_hold(self, service: int, km: int, slot: int) -> None:
        """A newcomer holds first."""
        self.visits.append(self._registered(self.services[service % len(self.services)], km))
        self.hold(len(self.visits) - 1, slot)

    @precondition(lambda self: self.visits)
    @rule(visit=PICK, slot=PICK)
    def book(self, visit: int, slot: int) -> None:
        appointment = self._visit(visit)
        may = appointment.status is not Status.CANCELLED
        slot_id = self._offered(appointment, slot) if may else self._signed(appointment, self._windows()[0])
        if slot_id is None:
            return
        if not may:
            with pytest.raises(InvalidState), self.session.begin_nested():
                self._book(appointment, slot_id)
        elif appointment.is_promised:
            with pytest.raises(AlreadyBooked), self.session.begin_nested():
                self._book(appointment, slot_id)
        else:
            self._book(appointment, slot_id)

    @precondition(lambda self: self.visits)
    @rule(visit=PICK, slot=PICK)
    def reschedule(self, visit: int, slot: int) -> None:
        appointment = self._visit(visit)
        if appointment.status is Status.CANCELLED or not appointment.is_promised:
            return
        slot_id = self._offered(appointment, slot)
        if slot_id is not None:
            booking.reschedule(self.session, self.world.settings, appointment, slot_id, DISPATCHER, self.now)
            self.waiting.discard(appointment.id)

    @precondition(lambda self: self.visits)
    @rule(visit=PICK)
    def cancel(self, visit: int) -> None:
        appointment = self._visit(visit)
        if appointment.status is Status.CANCELLED:
            with pytest.raises(InvalidState), self.session.begin_nested():
                booking.cancel(self.session, self.world.settings, appointment, DISPATCHER, self.now)
        else:
            booking.cancel(self.session, self.world.settings, appointment, DISPATCHER, self.now)
            self.waiting.discard(appointment.id)

    @precondition(lambda self: self.visits)
    @rule(visit=PICK, slot=PICK)
    def hold(self, visit: int, slot: int) -> None:
        appointment = self._visit(visit)
        slot_id = self._offered(appointment, slot) if appointment.status is not Status.CANCELLED else None
        if slot_id is None:
            return
        request = job_of(self.session, appointment).request
        of_request = [held for held in self._held() if held.service_request_id == request.id]
        if len(of_request) == holds.MOST_HOLDS:
            with pytest.raises(TooManyHolds), self.session.begin_nested():
                holds.hold(self.session, self.world.settings, request, slot_id, DISPATCHER, self.now)
        elif appointment.is_promised:
            with suppress(SlotTaken), self.session.begin_nested():
                self.holds.append(
                    holds.hold(self.session, self.world.settings, request, slot_id, DISPATCHER, self.now)
                )
        else:
            self.holds.append(
                holds.hold(self.session, self.world.settings, request, slot_id, DISPATCHER, self.now)
            )

    @precondition(lambda self: self._held())
    @rule(held=PICK)
    def release(self, held: int) -> None:
        standing = self._held()
        holds.release(self.session, self.world.settings, standing[held % len(standing)], self.now)

    @precondition(lambda self: self._held() and not self.away)
    @rule(held=PICK)
    def book_what_is_held(self, held: int) -> None:
        """Whatever happened since, a hold is as good as its word."""
        standing = self._held()
        chosen = standing[held % len(standing)]
        appointment = next(v for v in self.visits if v.service_request_id == chosen.service_request_id)
        slot_id = self._signed(appointment, (chosen.window_start, chosen.window_end))
        if appointment.is_promised:
            booking.reschedule(
                self.session, self.world.settings, appointment, slot_id, DISPATCHER, self.now, chosen.id
            )
            self.waiting.discard(appointment.id)
        else:
            booking.book(
                self.session, self.world.settings, appointment, slot_id, DISPATCHER, self.now, chosen.id
            )

    # What the world does

    @rule(minutes=st.integers(1, 6))
    def pass_time(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)
        holds.expire_due(self.session, self.world.settings, self.now)

    @rule(pick=PICK)
    def fall_away(self, pick: int) -> None:
        technician, organization = self._engagement(pick)
        if (technician.no, organization.id) in self.away:
            return
        lost = [
            visit.id
            for visit in self.visits
            if visit.technician_no == technician.no and visit.organization_id == organization.id
        ]
        profile = self._profile(technician, organization)
        joining.suspend(self.session, self.world.settings, profile, "Ill.", DISPATCHER, self.now)
        self.away.add((technician.no, organization.id))
        self.waiting.update(lost)

    @rule(pick=PICK)
    def come_back(self, pick: int) -> None:
        technician, organization = self._engagement(pick)
        if (technician.no, organization.id) in self.away:
            profile = self._profile(technician, organization)
            joining.reinstate(self.session, profile, DISPATCHER, self.now)
            self.away.remove((technician.no, organization.id))

    @rule(pick=PICK)
    def change_hours(self, pick: int) -> None:
        """Bo's day ends at 14 or at 18 from now on, unless that would leave a visit outside."""
        with suppress(Conflict, InvalidState), self.session.begin_nested():
            profile = self._profile(self.bo, self.acme)
            rostering.require_right(self.session, profile, change=True)
            [standing] = rostering.shifts_between(self.session, self.bo, TOMORROW, TOMORROW)
            rostering.remove_shift(self.session, profile, standing.id, self.now)
            self.world.shift(self.bo, 10, (14, 18)[pick % 2])

    # What must hold

    @invariant()
    def calendars_are_sound(self) -> None:
        assert faults(self._calendars(), waiting=self.waiting) == []

    @invariant()
    def slots_tell_the_truth(self) -> None:
        trial = self.session.begin_nested()
        newcomer = self._registered(self.random.choice(self.services), self.random.randint(0, 12))
        job, calendars = job_of(self.session, newcomer), self._calendars()
        found = find_slots(self.session, self.world.settings, job, TOMORROW, TOMORROW, self.now)
        offered = {(slot.start, slot.end): slot.slot_id for slot in found.items}
        withheld = [window for window in self._windows() if window not in offered]
        assert [window for window in withheld if self._could_be_kept(job, window, calendars)] == []
        if offered and self.random.random() < 0.5:
            self._book(newcomer, offered[self.random.choice(list(offered))])
            assert faults(self._calendars(), waiting=self.waiting) == []
        elif withheld:
            with pytest.raises(SlotTaken), self.session.begin_nested():
                self._book(newcomer, self._signed(newcomer, self.random.choice(withheld)))
        trial.rollback()

    def _could_be_kept(self, job: Job, window: Window, calendars: Calendars) -> bool:
        organization_id = job.appointment.organization_id
        able = {self.ada.no, self.bo.no} if organization_id == self.acme.id else {self.ada.no}
        free = [no for no in able if no is not None and (no, organization_id) not in self.away]
        opens, closes = (job.at_place_from(edge) for edge in window)
        asked = Stop((job.place.lat, job.place.lon), opens, closes, job.service.at_place_s)
        return can_be_kept(calendars, organization_id, free, asked)

    # The small print

    def _registered(self, service: Service, km: int) -> Appointment:
        new = intake.NewRequest(service.id, intake.NewCustomer("Casey Customer"), at(km))
        _, appointment = intake.register(self.session, service.organization_id, new, DISPATCHER, self.now)
        return appointment

    def _visit(self, pick: int) -> Appointment:
        return self.visits[pick % len(self.visits)]

    def _held(self) -> list[Hold]:
        return [held for held in self.holds if held.released_at is None and held.expires_at > self.now]

    def _engagement(self, pick: int) -> tuple[Technician, Organization]:
        return ((self.ada, self.acme), (self.bo, self.acme), (self.ada, self.rival))[pick % 3]

    def _profile(self, technician: Technician, organization: Organization) -> Profile:
        dispatcher = Principal("dispatcher", organization_id=organization.id)
        return profile_of(self.session, dispatcher, technician.id, change=True)

    def _windows(self) -> list[Window]:
        return slot_windows(self.services[0], TOMORROW, ZONE)

    def _offered(self, appointment: Appointment, pick: int) -> str | None:
        job = job_of(self.session, appointment)
        found = find_slots(self.session, self.world.settings, job, TOMORROW, TOMORROW, self.now)
        return found.items[pick % len(found.items)].slot_id if found.items else None

    def _signed(self, appointment: Appointment, window: Window) -> str:
        return sign_slot(self.world.settings, appointment, window, self.now)

    def _book(self, appointment: Appointment, slot_id: str) -> None:
        booking.book(self.session, self.world.settings, appointment, slot_id, DISPATCHER, self.now)

    def _calendars(self) -> Calendars:
        self.session.flush()
        return read(self.session.connection(), self.now)


def test_in_whatever_order_things_happen_calendars_stay_sound_and_slots_tell_the_truth(
    engine: Engine, settings: Settings
) -> None:
    run_state_machine_as_test(
        lambda: Days(engine, settings),  # type: ignore[arg-type]
        settings=hypothesis_settings(
            max_examples=examples(TRIED[engine.dialect.name]),
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
