"""Whatever technicians, dispatchers, customers and the clock say to offers, in any order, each visit has one acceptance
at most and every refusal is the one that the rules name.

A machine of hypothesis offers the visits of two organizations, which share a technician, in all ways, and answers. It
keeps its own book of what was accepted; after every step the sweep judges the calendars and the offers.
"""

from collections.abc import Callable
from datetime import timedelta

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
from sqlmodel import Session, select

from dispatch import automatic, booking, day, intake, offering, overriding
from dispatch.appointment import Appointment, Status
from dispatch.catalogue import OfferStrategy
from dispatch.errors import DispatchError, InfeasibleOverride
from dispatch.events import Actor
from dispatch.offer import OPEN, Offer, OfferStatus
from dispatch.offering import Wanted
from dispatch.overriding import Choice
from dispatch.planning import job_of
from dispatch.proposing import Proposal
from dispatch.settings import Settings
from dispatch.slots import find_slots
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World, at
from tests.races.sweep import faults, read
from tests.support.examples import examples

pytestmark = pytest.mark.nightly
STEPS = 25
TRIED = {"sqlite": 30, "postgresql": 6}
PICK = st.integers(0, 10**6)
"""Which of those there are, modulo their number."""
MINUTES = st.sampled_from((1, 5, 20, 65, 300))
NEXT: dict[OfferStatus, set[OfferStatus]] = {
    OfferStatus.PENDING: {
        OfferStatus.ACCEPTED,
        OfferStatus.DECLINED,
        OfferStatus.COUNTERED,
        OfferStatus.EXPIRED,
        OfferStatus.WITHDRAWN,
        OfferStatus.SUPERSEDED,
    },
    OfferStatus.COUNTERED: {
        OfferStatus.ACCEPTED,
        OfferStatus.DECLINED,
        OfferStatus.PENDING,
        OfferStatus.EXPIRED,
        OfferStatus.WITHDRAWN,
        OfferStatus.SUPERSEDED,
    },
    OfferStatus.ACCEPTED: {OfferStatus.SUPERSEDED},
}
SAID = {OfferStatus.SUPERSEDED: "offer_taken", OfferStatus.EXPIRED: "offer_expired"}
"""To who answers an offer that is over; else its state is named."""


class Pay:
    currency = "USD"

    def __init__(self, amount: int) -> None:
        self.amount = amount


class Offers(RuleBasedStateMachine):
    """One day. All in one transaction, that is rolled back; each step in a savepoint, as a request would be."""

    def __init__(self, engine: Engine, installation: Settings) -> None:
        super().__init__()
        self.session = Session(engine)
        self.world = World(self.session, installation)
        self.now = NOW
        rival = self.world.new_organization("rival")
        self.world.new_territory(rival)
        self.people = [
            self.world.technician("Ada", hours=(8, 14)),
            self.world.technician("Bo", home_km=6, hours=(10, 16)),
            self.world.technician("Cy", home_km=9, hours=(9, 12)),
        ]
        self.world.engage(self.people[0], rival, {"plumbing": 3})
        self.services = [self.world.service(hours=1), self.world.service(hours=1.5, organization=rival)]
        self.visits: list[Appointment] = []
        self.accepted: dict[str, int] = {}
        self.known: dict[str, OfferStatus] = {}

    def teardown(self) -> None:
        self.session.close()

    @initialize(orders=st.lists(st.tuples(PICK, st.integers(0, 12), PICK), min_size=2, max_size=4))
    def begin_with_some_visits(self, orders: list[tuple[int, int, int]]) -> None:
        for order in orders:
            self.come(*order)
        for visit in range(len(self.visits)):
            self.send(visit, "broadcast", 3, 300)

    # What dispatchers and customers do

    @rule(service=PICK, km=st.integers(0, 12), slot=PICK)
    def come(self, service: int, km: int, slot: int) -> None:
        """A newcomer books."""
        chosen = self.services[service % len(self.services)]
        new = intake.NewRequest(chosen.id, intake.NewCustomer("Casey Customer"), at(km))
        _, appointment = intake.register(self.session, chosen.organization_id, new, DISPATCHER, self.now)
        slot_id = self._offered(appointment, slot)
        if slot_id is not None:
            booking.book(self.session, self.world.settings, appointment, slot_id, DISPATCHER, self.now)
            self.visits.append(appointment)

    @precondition(lambda self: self.visits)
    @rule(
        visit=PICK, strategy=st.sampled_from(("broadcast", "direct", "cascade")), named=PICK, minutes=MINUTES
    )
    def send(self, visit: int, strategy: str, named: int, minutes: int) -> None:
        """To somebody who is named, or whoever could come."""
        appointment = self._visit(visit)
        is_shared = appointment.organization_id != self.world.organization.id
        people = self.people[:1] if is_shared else self.people
        everybody = [one.id for one in people]
        ids = everybody[named % len(people) :][:1] if strategy == "direct" else everybody[: named % 4]
        wanted = Wanted(OfferStrategy(strategy), ids, minutes * 60)
        said = self._said(
            lambda: offering.send(
                self.session, self.world.settings, appointment, wanted, DISPATCHER, self.now
            )
        )
        is_free = appointment.status in (Status.UNASSIGNED, Status.SCHEDULED)
        assert said in ((None, "no_longer_fits") if is_free else ("invalid_state",))

    @precondition(lambda self: self.visits)
    @rule(visit=PICK, slot=PICK)
    def reschedule(self, visit: int, slot: int) -> None:
        appointment = self._visit(visit)
        slot_id = None if appointment.status is Status.CANCELLED else self._offered(appointment, slot)
        if slot_id is not None:
            booking.reschedule(self.session, self.world.settings, appointment, slot_id, DISPATCHER, self.now)
            self.accepted.pop(appointment.id, None)

    @precondition(lambda self: self.visits)
    @rule(visit=PICK)
    def cancel(self, visit: int) -> None:
        appointment = self._visit(visit)
        if appointment.status is not Status.CANCELLED:
            booking.cancel(self.session, self.world.settings, appointment, DISPATCHER, self.now)
            self.accepted.pop(appointment.id, None)

    @precondition(lambda self: self.visits)
    @rule(visit=PICK, chosen=PICK, force=st.booleans(), by_phone=st.booleans())
    def override(self, visit: int, chosen: int, force: bool, by_phone: bool) -> None:
        """Somebody is given the visit at some time of its promise; with force others may lose theirs."""
        appointment = self._visit(visit)
        is_shared = appointment.organization_id != self.world.organization.id
        technician = self.people[0 if is_shared else chosen % len(self.people)]
        choice = Choice(technician.id, pin=bool(chosen % 2), force=force, by_phone=by_phone)

        def give() -> None:
            proposal = overriding.override(
                self.session, self.world.settings, appointment, choice, DISPATCHER, self.now, "She asked."
            )
            self._note(proposal)

        said = self._said(give)
        is_free = appointment.status in (Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
        assert said in ((None, "infeasible_override") if is_free else ("invalid_state",))

    def _note(self, proposal: Proposal) -> None:
        """Keeps the book of what was accepted. Broken hours are no matter of offers: what would break them is
        undone."""
        appointment = proposal.job.appointment
        if {violation.code for violation in proposal.violations} - {"overlap"}:
            raise InfeasibleOverride([])
        lost = [moved.appointment.id for moved in proposal.moved if moved.lost_technician]
        for appointment_id in (appointment.id, *lost):
            self.accepted.pop(appointment_id, None)
        if appointment.status is Status.DISPATCHED and appointment.technician_no is not None:
            self.accepted[appointment.id] = appointment.technician_no

    # What technicians do

    @precondition(lambda self: self.known)
    @rule(offer=PICK)
    def accept(self, offer: int) -> None:
        row = self._offer(offer)
        was = row.status_at(self.now)
        said = self._said(
            lambda: offering.accept(self.session, self.world.settings, row, self._by(row), self.now)
        )
        if was is OfferStatus.PENDING and said is None:
            assert row.appointment_id not in self.accepted
            self.accepted[row.appointment_id] = row.technician_no
        elif was is OfferStatus.PENDING:
            assert (said, row.strategy) == ("no_longer_fits", OfferStrategy.BROADCAST)
        else:
            assert said == (None if was is OfferStatus.ACCEPTED else SAID.get(was, "invalid_state"))

    @precondition(lambda self: self.known)
    @rule(offer=PICK)
    def decline(self, offer: int) -> None:
        row = self._offer(offer)
        was = row.status_at(self.now)
        said = self._said(
            lambda: offering.decline(self.session, self.world.settings, row, self._by(row), self.now, None)
        )
        assert said == (None if was in (*OPEN, OfferStatus.DECLINED) else SAID.get(was, "invalid_state"))

    @precondition(lambda self: self.known)
    @rule(offer=PICK, pay=st.integers(1, 20_000))
    def counter(self, offer: int, pay: int) -> None:
        row = self._offer(offer)
        was = row.status_at(self.now)
        said = self._said(
            lambda: offering.counter(self.session, row, Pay(pay), None, self._by(row), self.now)
        )
        is_same = was is OfferStatus.COUNTERED and row.counter_pay_cents == pay
        assert said == (None if was is OfferStatus.PENDING or is_same else SAID.get(was, "invalid_state"))

    @precondition(lambda self: self.accepted)
    @rule(visit=PICK)
    def release(self, visit: int) -> None:
        appointment_id = sorted(self.accepted)[visit % len(self.accepted)]
        appointment = self.session.get_one(Appointment, appointment_id)
        no = self.accepted.pop(appointment_id)
        technician = next(one for one in self.people if one.no == no)
        day.release(
            self.session,
            self.world.settings,
            appointment,
            Actor("technician", technician.id),
            self.now,
            "Ill.",
        )

    # What dispatchers answer

    @precondition(lambda self: self.known)
    @rule(offer=PICK)
    def withdraw(self, offer: int) -> None:
        row = self._offer(offer)
        was = row.status_at(self.now)
        said = self._said(
            lambda: offering.withdraw(self.session, self.world.settings, row, DISPATCHER, self.now)
        )
        assert said == (None if was in (*OPEN, OfferStatus.WITHDRAWN) else SAID.get(was, "invalid_state"))

    @precondition(lambda self: self.known)
    @rule(offer=PICK)
    def accept_counter(self, offer: int) -> None:
        row = self._offer(offer, OfferStatus.COUNTERED)
        was, pay = row.status_at(self.now), row.counter_pay_cents
        said = self._said(
            lambda: offering.accept_counter(self.session, self.world.settings, row, DISPATCHER, self.now)
        )
        if was is OfferStatus.COUNTERED and said is None:
            assert row.appointment_id not in self.accepted
            assert row.pay_cents == pay
            self.accepted[row.appointment_id] = row.technician_no
        elif was is OfferStatus.COUNTERED:
            assert (said, row.strategy) == ("no_longer_fits", OfferStrategy.BROADCAST)
        elif was is not OfferStatus.ACCEPTED:
            assert said == SAID.get(was, "invalid_state")

    @precondition(lambda self: self.known)
    @rule(offer=PICK)
    def reject_counter(self, offer: int) -> None:
        row = self._offer(offer, OfferStatus.COUNTERED)
        was, is_again = row.status_at(self.now), row.counter_pay_cents is not None
        said = self._said(lambda: offering.reject_counter(self.session, row, DISPATCHER, self.now))
        succeeds = was is OfferStatus.COUNTERED or (was is OfferStatus.PENDING and is_again)
        assert said == (None if succeeds else SAID.get(was, "invalid_state"))

    # What the clock does

    @rule(minutes=MINUTES)
    def pass_time(self, minutes: int) -> None:
        """Nobody has noted yet what is over."""
        self.now += timedelta(minutes=minutes)

    @rule()
    def the_worker_comes_by(self) -> None:
        for step in automatic.steps_due(self.session, self.world.settings, self.now):
            step(self.session)
        overdue = select(Offer).where(Offer.expires_at <= self.now)
        assert all(offer.status not in OPEN for offer in self.session.exec(overdue))

    # What must hold

    @invariant()
    def calendars_and_offers_are_sound(self) -> None:
        self.session.flush()
        waiting = {visit.id for visit in self.visits if visit.status is Status.UNASSIGNED}
        assert faults(read(self.session.connection(), self.now), waiting=waiting) == []

    @invariant()
    def what_was_accepted_is_dispatched_and_nothing_else(self) -> None:
        committed = {
            visit.id: visit.technician_no for visit in self.visits if visit.status is Status.DISPATCHED
        }
        assert committed == self.accepted

    @invariant()
    def offers_go_from_state_to_state_as_the_rules_have_it(self) -> None:
        now = {offer.id: offer.status for offer in self.session.exec(select(Offer))}
        for id_, status in now.items():
            was = self.known.get(id_, OfferStatus.PENDING)
            assert status is was or status in NEXT.get(was, set()), f"{was} -> {status}"
        self.known = now

    # The small print

    def _said(self, verb: Callable[[], object]) -> str | None:
        """The code of a refusal, which has left no trace."""
        try:
            with self.session.begin_nested():
                verb()
        except DispatchError as error:
            self.session.expire_all()
            return error.code
        return None

    def _visit(self, pick: int) -> Appointment:
        return self.visits[pick % len(self.visits)]

    def _offer(self, pick: int, *wanted: OfferStatus) -> Offer:
        """Mostly one that is open, or as wanted, where there is such a one; else any of the latest."""
        open_ = sorted(id_ for id_, status in self.known.items() if status in (wanted or OPEN))
        ids = open_ if open_ and pick % 5 else sorted(self.known)[-6:]
        row = self.session.get_one(Offer, ids[pick % len(ids)])
        offering.lock_offer(self.session, row)
        return row

    def _by(self, offer: Offer) -> Actor:
        return Actor("technician", next(one.id for one in self.people if one.no == offer.technician_no))

    def _offered(self, appointment: Appointment, pick: int) -> str | None:
        if appointment.status not in (Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED):
            return None
        job = job_of(self.session, appointment)
        found = find_slots(self.session, self.world.settings, job, TOMORROW, TOMORROW, self.now)
        return found.items[pick % len(found.items)].slot_id if found.items else None


def test_in_whatever_order_offers_are_answered_each_visit_has_one_acceptance(
    engine: Engine, settings: Settings
) -> None:
    run_state_machine_as_test(
        lambda: Offers(engine, settings),  # type: ignore[arg-type]
        settings=hypothesis_settings(
            max_examples=examples(TRIED[engine.dialect.name]),
            stateful_step_count=STEPS,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
