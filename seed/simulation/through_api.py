"""Dispatch as this system does it: customers, technicians and a dispatcher who call the API, and the worker that does
what is due.

Customers ask for windows and choose one, or wait to be called back. Offers leave by themselves. The dispatcher has the
day planned every so often, and looks at the board: what nobody took, and what no window could be promised of, is
offered once to several at once, for what the board says would fill it. A phone tells its technician of an offer and of
a change in its calendar within a minute; to find out which, tables are read, and everything that is done is done over
the API.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from typing import Any

from sqlalchemy import Engine
from sqlmodel import col, select

from dispatch import replanning, worker
from dispatch.database import open_session, transaction
from dispatch.offer import Offer, OfferStatus
from dispatch.settings import Settings
from dispatch.technician import Technician
from seed.calls import Call
from seed.city import Freelancer
from seed.problem import seconds
from seed.simulation.api_client import ApiClient
from seed.simulation.clock import Agenda
from seed.simulation.crew import Crew, Stop
from seed.simulation.people import HURRY_S, Job, People, instant_of, told
from seed.simulation.record import Record, Story
from seed.simulation.shop import SLUG, Shop

TICK_S, IDLE_TICK_S = 60, 300
"""How often the worker looks for what is due: after somebody called the API, and otherwise. A real one looks twice a
second."""
NOBODY_OPENED = "Nobody opened the door."
MOST_PAY = Fraction(3, 2)
"""Of what was offered before, for a visit that is offered again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the dispatcher has set up. plan_every_s, max_work: plans of the day, bounded by work and not by time, so
    that they are the same each time. look_every_s: at the board, while phones are on. offer_before_s: see `shop`.
    offer_deadline_s: as the setting of that name, less than usual: all is booked for the same day."""

    plan_every_s: int = 3_600
    max_work: int = 2_000
    look_every_s: int = 900
    offer_before_s: int = 3 * 3_600
    offer_deadline_s: int = 3_600


class ThroughApi:
    """Dispatches through the API. plans: how many were run. appointments: of the calls, by their ids, and back."""

    def __init__(
        self,
        agenda: Agenda,
        people: People,
        api: ApiClient,
        engine: Engine,
        settings: Settings,
        shop: Shop,
        policy: Policy,
    ) -> None:
        self._agenda, self._people, self._api = agenda, people, api
        self._engine, self._settings, self._shop, self._policy = engine, settings, shop, policy
        self._persons = {person.id: person for person in people.day.freelancers}
        self._person_of = {id_: person_id for person_id, id_ in shop.technicians.items()}
        self._calls = {call.id: call for call in people.day.calls}
        self._call_of: dict[str, Call] = {}
        self.appointments: dict[str, str] = {}
        self._customers: dict[str, tuple[str, str]] = {}
        self._seen_offer = ""
        self._offered_again: set[str] = set()
        self._changes = 0
        self._calendars: dict[str, int] = {}
        self.plans = 0
        self.story = Story({call.id: Record(call) for call in people.day.calls})
        self.crew = Crew(agenda, people, self)

    def open(self, until: int, until_midnight: int) -> None:
        """Everything that will come by itself, up to then."""
        self.crew.open()
        for call in self._people.day.calls:
            self._agenda.at(seconds(call.called_at), partial(self._call_in, call))
        for at in range(self._agenda.now, until + 1, TICK_S):
            self._agenda.at(at, self._tick)
        for at in range(self._agenda.now, until_midnight, self._policy.plan_every_s):
            self._agenda.at(at, self._plan)
        for at in range(self._agenda.now, until_midnight, self._policy.look_every_s):
            self._agenda.at(at, self._look)

    # Customers

    def _call_in(self, call: Call) -> None:
        body = {
            "organization": SLUG,
            "service_id": self._shop.services[call.service.key],
            "customer": {"name": call.customer_name, "phone": call.customer_phone},
            "place": {"lat": call.lat, "lon": call.lon, "address": call.address},
            "priority": call.service.priority.value,
            "earliest_start": told(seconds(call.earliest_start)),
            "due": told(seconds(call.due)),
            "source": "phone",
            "external_id": call.id,
        }
        registered = self._api.post("/v1/service-requests", body, key=self._shop.key)
        request_id, appointment_id = registered["service_request"]["id"], registered["appointment"]["id"]
        self._customers[call.id] = request_id, registered["manage_token"]
        self._call_of[appointment_id], self.appointments[call.id] = call, appointment_id
        items = self._slots(call)
        if items:
            after_s = self._people.chooses_after_s(call)
            self._agenda.at(self._agenda.now + after_s, partial(self._book, call, items))
        else:
            self._agenda.at(self._people.gives_up_at(call), partial(self._give_up, call))

    def _slots(self, call: Call) -> list[dict[str, Any]]:
        request_id, token = self._customers[call.id]
        day = self._people.day.date.isoformat()
        path = f"/v1/service-requests/{request_id}/slots"
        items: list[dict[str, Any]] = self._api.get(path, key=token, **{"from": day, "to": day})["items"]
        return items

    def _book(self, call: Call, items: list[dict[str, Any]]) -> None:
        """The soonest of those that the customer prefers, the next best where it was taken meanwhile."""
        record = self.story.records[call.id]
        if record.window is not None:
            return
        request_id, token = self._customers[call.id]
        slot = self._preferred(call, items)
        status, answer = self._api.ask(
            "POST",
            "/v1/appointments",
            {"service_request_id": request_id, "slot_id": slot["slot_id"]},
            key=token,
            also=(409,),
        )
        if status == 201:
            self._promised(call, answer["appointment"]["arrival_window"], is_chosen=True)
        elif answer["code"] == "slot_taken" and answer["alternatives"]:
            self._book(call, answer["alternatives"])
        else:
            self._agenda.at(self._people.gives_up_at(call), partial(self._give_up, call))

    def _preferred(self, call: Call, items: list[dict[str, Any]]) -> dict[str, Any]:
        recommended = [item for item in items if item["recommended"]]
        among = recommended if recommended and self._people.wants_recommended(call) else items
        return min(among, key=lambda item: str(item["arrival_window"]["start"]))

    def _promised(self, call: Call, window: dict[str, str], *, is_chosen: bool) -> None:
        record = self.story.records[call.id]
        record.answered_at, record.is_chosen = self._agenda.now, is_chosen
        record.window = instant_of(window["start"]), instant_of(window["end"])

    def _give_up(self, call: Call) -> None:
        record = self.story.records[call.id]
        if record.window is not None:
            return
        request_id, token = self._customers[call.id]
        self._api.post(
            f"/v1/service-requests/{request_id}/cancel", {"reason": "Nobody could come."}, key=token
        )
        record.gave_up = True

    # The dispatcher and the worker

    def _plan(self) -> None:
        body = {
            "territory_id": self._shop.territory_id,
            "date": self._people.day.date.isoformat(),
            "max_work": self._policy.max_work,
        }
        run_id = self._api.post("/v1/plans", body, key=self._shop.key)["id"]
        clock = self._agenda.clock
        with transaction(self._engine) as session:
            replanning.take_up(session, clock(), run_id)
        replanning.execute(self._engine, self._settings, run_id, clock)
        plan = self._api.get(f"/v1/plans/{run_id}", key=self._shop.key)
        self.plans += 1
        for visit in plan["assigned"]:
            call = self._call_of[visit["appointment_id"]]
            if self.story.records[call.id].window is None:
                self._promised(call, visit["arrival_window"], is_chosen=False)

    def _look(self) -> None:
        """Offers what nobody took while its window is to come, and what is promised no window; each visit once."""
        if self._people.hears_at(self._agenda.now) != self._agenda.now:
            return
        day = self._people.day.date.isoformat()
        board = self._api.get("/v1/board", key=self._shop.key, territory_id=self._shop.territory_id, date=day)
        unfilled = {each["appointment_id"] for each in board["alerts"] if each["kind"] == "unfilled"}
        for visit in board["unassigned"]:
            id_, window = visit["appointment_id"], visit["arrival_window"]
            is_ahead = window and instant_of(window["end"]) > self._agenda.now + self._policy.look_every_s
            if window is None or (id_ in unfilled and is_ahead):
                self._offer_again(id_, visit["would_fill_if"])

    def _offer_again(self, appointment_id: str, would_fill_if: Sequence[dict[str, Any]]) -> None:
        if appointment_id in self._offered_again:
            return
        self._offered_again.add(appointment_id)
        body: dict[str, Any] = {"strategy": "broadcast"}
        pay = next((each for each in would_fill_if if each["code"] == "pay"), None)
        if pay is not None:
            most = (pay["pay_cents"] - pay["by"]) * MOST_PAY
            body["pay"] = {"amount": min(pay["pay_cents"], int(most)), "currency": "USD"}
        path = f"/v1/appointments/{appointment_id}/offers"
        self._api.ask("POST", path, body, key=self._shop.key, also=(409,))

    def _tick(self) -> None:
        is_idle = self._api.changes == self._changes
        if is_idle and self._agenda.now % IDLE_TICK_S:
            return
        self._changes = self._api.changes
        worker.run_due(self._engine, self._settings, self._agenda.clock())
        with open_session(self._engine, read_only=True) as session:
            query = (
                select(Offer.id, Offer.appointment_id, Technician.id, Offer.created_at)
                .where(Offer.technician_no == Technician.no, col(Offer.id) > self._seen_offer)
                .order_by(col(Offer.id))
            )
            offers = session.exec(query).all()
            calendars = session.exec(
                select(Technician.id, Technician.calendar_version).order_by(col(Technician.no))
            ).all()
        for offer_id, appointment_id, technician_id, sent_at in offers:
            self._seen_offer = offer_id
            self._ring(
                offer_id, self._call_of[appointment_id], self._person_of[technician_id], seconds(sent_at)
            )
        changed = [id_ for id_, version in calendars if self._calendars.get(id_) != version]
        self._calendars.update(calendars)
        for technician_id in changed:
            self.crew.look(self._person_of[technician_id])

    # Technicians

    def _ring(self, offer_id: str, call: Call, person_id: str, sent_at: int) -> None:
        record = self.story.records[call.id]
        record.asked_at = record.asked_at or sent_at
        self.story.asked.sent += 1
        at = self._people.answers_at(call, person_id, sent_at)
        self._agenda.at(at, partial(self._answer, offer_id, call, self._persons[person_id]))

    def _answer(self, offer_id: str, call: Call, person: Freelancer) -> None:
        key = self._shop.keys[person.id]
        offer = self._api.get(f"/v1/offers/{offer_id}", key=key)
        if offer["status"] != "pending":
            return
        window = offer["arrival_window"]
        notice_s = instant_of(window["start"]) - self._agenda.now if window is not None else HURRY_S
        job = Job(offer["pay"]["amount"], offer["duration_s"], offer["travel_s"], notice_s)
        if not self._people.accepts(call, person, job):
            self._api.post(f"/v1/offers/{offer_id}/decline", {}, key=key)
            return
        status, _ = self._api.ask("POST", f"/v1/offers/{offer_id}/accept", key=key, also=(409, 410))
        if status != 200:
            return
        record = self.story.records[call.id]
        record.committed_at, record.person = self._agenda.now, person.id
        record.pay_cents = offer["pay"]["amount"]
        if record.window is None:
            visit = self._api.get(f"/v1/appointments/{offer['appointment_id']}", key=self._shop.key)
            self._promised(call, visit["arrival_window"], is_chosen=False)
        self.crew.look(person.id)

    def stops(self, person: Freelancer) -> Sequence[Stop]:
        """What it reads on its phone."""
        day = self._people.day.date.isoformat()
        route = self._api.get("/v1/technicians/me/route", key=self._shop.keys[person.id], date=day)
        return [
            Stop(self._call_of[stop["appointment_id"]], instant_of(stop["scheduled_start"]), stop["travel_s"])
            for stop in route["stops"]
            if stop["status"] == "dispatched"
        ]

    def goes_on_duty(self, person: Freelancer) -> None:
        self._api.post("/v1/technicians/me/duty", {"status": "available"}, key=self._shop.keys[person.id])

    def goes_off_duty(self, person: Freelancer) -> None:
        self._api.post("/v1/technicians/me/duty", {"status": "off_duty"}, key=self._shop.keys[person.id])

    def sets_off(self, person: Freelancer, call: Call, place: int, expected: int) -> None:
        """Says so, where it is, and that it will be late where it sees that."""
        key, window = self._shop.keys[person.id], self.story.records[call.id].window
        self._progress(person, call, "en_route")
        at = self._people.world.places[place]
        position = {"lat": at.lat, "lon": at.lon, "recorded_at": told(self._agenda.now)}
        self._api.post("/v1/technicians/me/positions", position, key=key)
        assert window is not None
        if expected > window[1]:
            late = {"by_s": self._late_s(call, expected)}
            self._api.post(f"/v1/appointments/{self.appointments[call.id]}/late", late, key=key)

    def _late_s(self, call: Call, expected: int) -> int:
        """Against what is planned."""
        visit = self._api.get(f"/v1/appointments/{self.appointments[call.id]}", key=self._shop.key)
        return max(0, expected - instant_of(visit["scheduled_start"]))

    def is_there(self, person: Freelancer, call: Call) -> None:
        self._progress(person, call, "on_site")

    def has_ended(self, person: Freelancer, call: Call, *, is_closed: bool) -> None:
        if is_closed:
            self._progress(person, call, "cannot_complete", reason=NOBODY_OPENED)
        else:
            self._progress(person, call, "completed")

    def _progress(self, person: Freelancer, call: Call, status: str, **more: str) -> None:
        path = f"/v1/appointments/{self.appointments[call.id]}/progress"
        body = {"status": status, "occurred_at": told(self._agenda.now), **more}
        self._api.post(path, body, key=self._shop.keys[person.id])

    def count_answers(self) -> None:
        """Counts how the offers ended."""
        with open_session(self._engine, read_only=True) as session:
            ended = Counter(session.exec(select(Offer.status)).all())
        asked = self.story.asked
        asked.accepted, asked.declined = ended[OfferStatus.ACCEPTED], ended[OfferStatus.DECLINED]
        asked.expired, asked.superseded = ended[OfferStatus.EXPIRED], ended[OfferStatus.SUPERSEDED]
