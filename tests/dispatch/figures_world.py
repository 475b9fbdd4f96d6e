"""A day whose figures can be counted by hand. Tuesday, 24 November 2026 in New York; Ada works from 8 to 16.

visit  service  window  on site  ends   result            way           csat ces nps
A      Leak     9-11    9:30     10:30  completed         600 s 2000 m  5    7   10
B      Leak     11-13   13:10    14:00  completed         1200 s 4000 m 4    -   9    told late twice; to be followed
C      Wiring   14-16   13:40    14:40  completed         300 s 1000 m  2    3   2    early
D      Wiring   -       15:00    15:20  cannot_complete   900 s 3000 m                "Nobody opened."
E      Leak     9-11    -        -      unassigned                                    its window passes

Offers leave on Monday at noon: A is taken after 600 s, B after 1200 s (another declined it), C after 6000 s (one
countered in vain, one did not answer, one was overtaken). On Tuesday dispatchers override three times: by force for
600 s and 15.00, without for 300 s and 2.00 less, and once before prices were recorded.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from dispatch import booking
from dispatch.appointment import Appointment, Status
from dispatch.catalogue import Service
from dispatch.day import break_passed, progress
from dispatch.events import Actor, record
from dispatch.feedback import Feedback
from dispatch.follow_up import FollowUp, follow_up
from dispatch.lateness import LATE
from dispatch.offer import Offer, OfferStatus, OfferStrategy
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.organization import Organization
from dispatch.planning import Window
from dispatch.promise import PromiseKind
from dispatch.technician import Technician
from tests.dispatch.world import DISPATCHER, NOW, TOMORROW, World, clock_time

MONDAY, TUESDAY = date(2026, 11, 23), TOMORROW
NOON = clock_time(12, day=MONDAY)
TECHNICIAN = Actor("technician")


@dataclass
class Books:
    """One organization's day."""

    world: World
    organization: Organization
    technician: Technician = field(init=False)
    leak: Service = field(init=False)
    wiring: Service = field(init=False)
    visits: dict[str, Appointment] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.technician = self.world.technician(organization=self.organization)
        self.leak = self.world.service(organization=self.organization)
        self.wiring = self.world.service(organization=self.organization, name="Wiring")

    def visit(self, name: str, service: Service, window: Window | None = None) -> Appointment:
        visit = self.world.job(service).appointment
        self.visits[name] = visit
        if window is not None:
            by, kind = DISPATCHER, PromiseKind.GIVEN
            booking.promise(self.world.session, self.world.settings, visit, window, kind, by, NOW)
        return visit

    def done(
        self,
        visit: Appointment,
        begins: datetime,
        ends: datetime,
        way: tuple[int, int] = (0, 0),
        reason: str | None = None,
    ) -> None:
        assert self.technician.no is not None
        visit.plan(self.technician.no, begins, ends, *way)
        visit.status = Status.DISPATCHED
        result = Status.CANNOT_COMPLETE if reason is not None else Status.COMPLETED
        for to, at in ((Status.EN_ROUTE, begins), (Status.ON_SITE, begins), (result, ends)):
            why = reason if to is result else None
            progress(self.world.session, self.world.settings, visit, to, TECHNICIAN, at, reason=why)

    def rated(self, visit: Appointment, csat: int, ces: int | None, nps: int | None) -> None:
        said = Feedback(
            appointment_id=visit.id,
            organization_id=visit.organization_id,
            csat=csat,
            ces=ces,
            nps=nps,
            created_at=clock_time(20),
        )
        self.world.session.add(said)

    def offered(
        self, visit: Appointment, taken_after_s: int, *others: tuple[OfferStatus, int | None]
    ) -> None:
        """others: how each ended, and what it asked for."""
        asked = OfferRound(
            organization_id=visit.organization_id,
            appointment_id=visit.id,
            strategy=OfferStrategy.BROADCAST,
            status=RoundStatus.FILLED,
            deadline=clock_time(8),
            asked_by="system",
            created_at=NOON,
            ended_at=NOON + timedelta(seconds=taken_after_s),
        )
        self.world.session.add(asked)
        self.world.session.flush()
        for status, counter in ((OfferStatus.ACCEPTED, None), *others):
            self.world.session.add(self._offer(visit, asked, status, counter))

    def _offer(
        self, visit: Appointment, asked: OfferRound, status: OfferStatus, counter: int | None
    ) -> Offer:
        assert self.technician.no is not None
        return Offer(
            organization_id=visit.organization_id,
            appointment_id=visit.id,
            round_id=asked.id,
            technician_no=self.technician.no,
            strategy=OfferStrategy.BROADCAST,
            status=status,
            pay_cents=4000,
            travel_s=0,
            travel_m=0,
            detour_s=0,
            duration_s=3600,
            scheduled_start=clock_time(9),
            counter_pay_cents=counter,
            expires_at=clock_time(8),
            created_at=NOON,
        )

    def happened(self, visit: Appointment, type_: str, at: datetime, after: dict[str, Any]) -> None:
        record(self.world.session, visit.organization_id, visit.id, type_, at, DISPATCHER, after=after)


def build_books(world: World, organization: Organization) -> Books:
    """All of it, in the session."""
    books = Books(world, organization)
    a = books.visit("A", books.leak, (clock_time(9), clock_time(11)))
    b = books.visit("B", books.leak, (clock_time(11), clock_time(13)))
    c = books.visit("C", books.wiring, (clock_time(14), clock_time(16)))
    d = books.visit("D", books.wiring)
    books.visit("E", books.leak, (clock_time(9), clock_time(11)))
    books.offered(a, 600)
    books.offered(b, 1200, (OfferStatus.DECLINED, None))
    lost = ((OfferStatus.EXPIRED, 9000), (OfferStatus.EXPIRED, None), (OfferStatus.SUPERSEDED, None))
    books.offered(c, 6000, *lost)
    for minute in (0, 30):
        late = {"expected_start": clock_time(13, minute).isoformat(), "promise": b.promise_revision}
        books.happened(b, LATE, clock_time(10, minute), late)
    books.done(a, clock_time(9, 30), clock_time(10, 30), (600, 2000))
    books.done(b, clock_time(13, 10), clock_time(14), (1200, 4000))
    books.done(c, clock_time(13, 40), clock_time(14, 40), (300, 1000))
    books.done(d, clock_time(15), clock_time(15, 20), (900, 3000), "Nobody opened.")
    follow_up(world.session, b, FollowUp("a part is missing"), TECHNICIAN, clock_time(14))
    for visit, said in ((a, (5, 7, 10)), (b, (4, None, 9)), (c, (2, 3, 2))):
        books.rated(visit, *said)
    prices: tuple[dict[str, Any], ...] = (
        {"extra_travel_s": 600, "extra_cost_cents": 1500, "forced": True},
        {"extra_travel_s": -300, "extra_cost_cents": -200, "forced": False},
        {},
    )
    for after in prices:
        books.happened(a, "appointment.overridden", clock_time(7), after)
    break_passed(world.session, clock_time(23))
    world.session.flush()
    return books
