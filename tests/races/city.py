"""A city with one technician for two organizations, whose time everybody wants.

Ada's day is cut into watches of two hours, far enough apart that they are nothing to each other. The work takes an
hour, five or eight minutes from her home, so that a watch has room for one visit, which may begin in any of the three
windows that touch it. They last an hour and begin every half hour: the outer two touch, the middle one overlaps with
both. Bo works all day and knows nothing of this work: of a day with that much working time customers may hold more
than one visit. Ten painters work for the first organization alone, on a day on which Ada is off. Fifty roofers are
there on the day after, for two hours each, in which one visit has room: they are asked, all at once.

    watch    |--------.--------|       two hours from home to home
    visit      |--------|              begins eight minutes after the watch does, or up to 43 minutes later
    windows |--------|
                |--------|
                     |--------|
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Engine
from sqlmodel import Session, col, select

from dispatch import intake
from dispatch.appointment import Appointment, Status
from dispatch.booking import cancel
from dispatch.database import open_session, transaction
from dispatch.events import Actor
from dispatch.hold import Hold
from dispatch.holds import release
from dispatch.keys import issue_key
from dispatch.settings import Settings
from dispatch.shift import Shift, add_shift
from dispatch.slots import sign_slot
from dispatch.technician import Technician
from tests.dispatch.world import ZONE, World, at, clock_time
from tests.races.crowd import Answer, Call, at_once, one
from tests.races.sweep import Calendars, faults, read

DAYS = range(1, 13)
"""From today; slots are found for 14 days."""
WATCHES = (6, 9, 12, 15, 18)
"""Hours at which they begin, for which everybody competes."""
SPARE = 21
"""One a day that nobody competes for: there is always something to offer to who lost."""
HALF_AN_HOUR, WORK, WATCH = timedelta(minutes=30), timedelta(hours=1), timedelta(hours=2)
PAINTING = 2
"""The house."""
ROOFING = 3
"""Likewise."""
PAINTERS, PAINTERS_DAY = 10, timedelta(hours=8)
ROOFERS = 50
RULES: dict[str, Any] = {"slot_step_s": 1800, "arrival_window_s": 3600}

PUBLIC = Actor("public")
Window = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class Customer:
    """One request: its key opens that alone."""

    request: str
    appointment: str
    key: str


@dataclass(frozen=True, slots=True)
class House:
    """What is ordered where: the ids of an organization and of a service."""

    organization: str
    service: str


@dataclass(frozen=True, slots=True)
class Roofer:
    """key: with which it answers."""

    id: str
    key: str


@dataclass
class City:
    """Customers are taken in turn from the houses that Ada works for, the first two, and from either of two streets.
    url: where it is served. dispatcher: a key of the first organization."""

    engine: Engine
    settings: Settings
    houses: Sequence[House] = ()
    url: str = ""
    dispatcher: str = ""
    roofers: Sequence[Roofer] = ()
    today: date = field(default_factory=lambda: datetime.now(ZONE).date())
    known: int = 0

    def customer(self) -> Customer:
        return self.customers(1)[0]

    def customers(self, count: int, house: int | None = None) -> list[Customer]:
        """With requests that nothing is promised for; of one house where it is said which."""
        with transaction(self.engine) as session:
            return [self._registered(session, house) for _ in range(count)]

    def _registered(self, session: Session, of: int | None) -> Customer:
        self.known += 1
        now, house = datetime.now(UTC), self.houses[self.known % 2 if of is None else of]
        place = at(1 + self.known // 2 % 2)
        new = intake.NewRequest(house.service, intake.NewCustomer(f"Casey {self.known}"), place)
        request, appointment = intake.register(session, house.organization, new, PUBLIC, now)
        return Customer(request.id, appointment.id, intake.manage_token(session, request, now))

    def days(self) -> list[date]:
        return [self.today + timedelta(days=offset) for offset in DAYS]

    @property
    def day_off(self) -> date:
        """Ada's; the painters work then."""
        return self.today + timedelta(days=DAYS.stop)

    @property
    def roofing(self) -> Window:
        """In which the roofers may begin their one visit."""
        begin = clock_time(9, day=self.day_off + timedelta(days=1))
        return begin, begin + WORK

    def watches(self) -> list[datetime]:
        """When those begin that everybody competes for."""
        return [clock_time(hour, day=day) for day in self.days() for hour in WATCHES]

    def slot(self, customer: Customer, window: Window) -> str:
        """The id that the server would give for it: signed with the same secret. To have every one of 200 customers
        ask for it would take longer than the race."""
        now = datetime.now(UTC)
        asking = Appointment(
            organization_id="", territory_id="", service_request_id=customer.request, created_at=now
        )
        return sign_slot(self.settings, asking, window, now)

    def offered(self, customer: Customer, watch: datetime) -> dict[Window, str]:
        """The ids of the windows of the watch's day, as the server gives them."""
        day = watch.astimezone(ZONE).date()
        path = f"/v1/service-requests/{customer.request}/slots?from={day}&to={day}&limit=200"
        answer = one(self.url, Call("GET", path, None, customer.key))
        assert answer.status == 200, answer
        return {window_of(item["arrival_window"]): item["slot_id"] for item in answer.body["items"]}

    def booking(self, customer: Customer, slot_id: str, hold_id: str | None = None) -> Call:
        body = {"service_request_id": customer.request, "slot_id": slot_id, "hold_id": hold_id}
        return Call("POST", "/v1/appointments", body, customer.key)

    def rescheduling(self, customer: Customer, slot_id: str) -> Call:
        path = f"/v1/appointments/{customer.appointment}/reschedule"
        return Call("POST", path, {"slot_id": slot_id}, customer.key)

    def cancelling(self, customer: Customer) -> Call:
        return Call("POST", f"/v1/appointments/{customer.appointment}/cancel", {}, customer.key)

    def holding(self, customer: Customer, slot_id: str) -> Call:
        return Call("POST", "/v1/slots/hold", {"slot_id": slot_id}, customer.key)

    def releasing(self, customer: Customer, hold_id: str) -> Call:
        return Call("DELETE", f"/v1/holds/{hold_id}", None, customer.key)

    def book(self, customer: Customer, window: Window) -> None:
        """Without any race."""
        assert one(self.url, self.booking(customer, self.slot(customer, window))).said == (201, None)

    def hold(self, customer: Customer, window: Window) -> str:
        """Without any race; the id of the hold."""
        answer = one(self.url, self.holding(customer, self.slot(customer, window)))
        assert answer.said == (201, None)
        hold_id: str = answer.body["hold_id"]
        return hold_id

    def read(self, customer: Customer) -> Any:
        """Its appointment."""
        answer = one(self.url, Call("GET", f"/v1/appointments/{customer.appointment}", None, customer.key))
        assert answer.status == 200, answer
        return answer.body

    def broadcast(self, customer: Customer) -> list[tuple[Roofer, str]]:
        """Asks all roofers who have time at once about a visit that is promised: whom, and the ids of the offers."""
        body = {"strategy": "broadcast", "technician_ids": [roofer.id for roofer in self.roofers]}
        path = f"/v1/appointments/{customer.appointment}/offers"
        answer = one(self.url, Call("POST", path, body, self.dispatcher))
        assert answer.status == 201, answer
        roofer_of = {roofer.id: roofer for roofer in self.roofers}
        return [(roofer_of[item["technician_id"]], item["id"]) for item in answer.body["items"]]

    def accepting(self, roofer: Roofer, offer_id: str) -> Call:
        return Call("POST", f"/v1/offers/{offer_id}/accept", {}, roofer.key)

    def declining(self, roofer: Roofer, offer_id: str) -> Call:
        return Call("POST", f"/v1/offers/{offer_id}/decline", {}, roofer.key)

    def withdrawing(self, offer_id: str) -> Call:
        return Call("POST", f"/v1/offers/{offer_id}/withdraw", {}, self.dispatcher)

    def race(self, *calls: Call, waiting: Collection[str] = ()) -> list[Answer]:
        """All of them at once. None may fail, and none may leave a calendar as it must not be. waiting: visits that may
        be with nobody afterwards."""
        answers = at_once(self.url, calls)
        failed = [answer.body for answer in answers if answer.status >= 500]
        assert not failed, f"{len(failed)} of {len(answers)} failed, such as {failed[0]}"
        assert faults(self.calendars(), waiting=waiting) == []
        return answers

    def calendars(self) -> Calendars:
        """As the database holds them."""
        with open_session(self.engine, read_only=True) as session:
            return read(session.connection(), datetime.now(UTC))

    def clear(self) -> None:
        """Gives everything back, so that the next race may have it."""
        now, by = datetime.now(UTC), Actor("dispatcher")
        with transaction(self.engine) as session:
            for held in session.exec(select(Hold).where(col(Hold.released_at).is_(None))).all():
                release(session, self.settings, held, now)
            for visit in session.exec(
                select(Appointment).where(Appointment.status != Status.CANCELLED)
            ).all():
                cancel(session, self.settings, visit, by, now)
        assert self.calendars().blocks == ()

    def promised(self) -> dict[str, Window]:
        """What the database says is promised, by appointment."""
        return {
            visit: (datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC))
            for visit, (start, end) in self.calendars().promised.items()
        }


def build_city(engine: Engine, settings: Settings) -> City:
    """Committed. Days begin with tomorrow by the real clock, which a served process goes by."""
    city = City(engine, settings)
    with transaction(engine) as session:
        world = World(session, settings)
        rival = world.new_organization("rival")
        world.new_territory(rival)
        ada = world.technician(hours=None)
        world.engage(ada, rival, {"plumbing": 3})
        idle = world.technician("Bo", skills={}, hours=None)
        world.engage(idle, rival, {})
        plumbing = [world.service(organization=house, **RULES) for house in (world.organization, rival)]
        painting = world.service(required_skills={"painting": 1}, **RULES)
        roofing = world.service(required_skills={"roofing": 1}, **RULES)
        city.houses = [
            House(service.organization_id, service.id) for service in (*plumbing, painting, roofing)
        ]
        now = datetime.now(UTC)
        city.dispatcher = issue_key(session, "dispatcher", organization_id=world.organization.id, now=now)[1]
        for number in range(PAINTERS):
            painter = world.technician(f"Painter {number}", skills={"painting": 3}, hours=None)
            add_hours(session, painter, clock_time(8, day=city.day_off), PAINTERS_DAY)
        city.roofers = [_roofer(world, city, number) for number in range(ROOFERS)]
        for day in city.days():
            for hour in (*WATCHES, SPARE):
                add_hours(session, ada, clock_time(hour, day=day), WATCH)
            add_hours(session, idle, clock_time(4, day=day), timedelta(hours=20))
    return city


def _roofer(world: World, city: City, number: int) -> Roofer:
    roofer = world.technician(f"Roofer {number}", home_km=number / 50, skills={"roofing": 3}, hours=None)
    add_hours(world.session, roofer, city.roofing[0], WATCH)
    _, key = issue_key(world.session, "technician", technician_id=roofer.id, now=datetime.now(UTC))
    return Roofer(roofer.id, key)


def add_hours(session: Session, technician: Technician, begin: datetime, length: timedelta) -> None:
    assert technician.no is not None
    shift = Shift(
        technician_no=technician.no, starts_at=begin, ends_at=begin + length, created_at=datetime.now(UTC)
    )
    add_shift(session, technician, shift)


def windows_of(watch: datetime) -> tuple[Window, Window, Window]:
    """In which the one visit of a watch may begin."""
    starts = (watch - HALF_AN_HOUR, watch, watch + HALF_AN_HOUR)
    return tuple((start, start + WORK) for start in starts)  # type: ignore[return-value]


def window_of(told: Any) -> Window:
    return datetime.fromisoformat(told["start"]), datetime.fromisoformat(told["end"])
