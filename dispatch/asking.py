"""Rounds of offers: whom to ask next about a visit, how long each may answer, and what would help where nobody is left.

A direct round asks one. A cascade asks one after another while time allows, and then the rest at once. A broadcast asks
at once as many as make it likely enough that one accepts. Who stands alone has the time in its calendar; what many are
asked at once takes nobody's time. Every step is taken with the visit locked.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from typing import Any
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from dispatch.acceptance import (
    AcceptanceModel,
    JobTerms,
    chance_of_filling,
    how_many_to_ask,
    model_for,
    terms_of,
    trade_of,
)
from dispatch.appointment import Appointment, Status
from dispatch.booking import give_back, supersede_offers
from dispatch.calendar import BlockKind, mark_block
from dispatch.decision import Outcome, note
from dispatch.errors import SlotTaken
from dispatch.events import SYSTEM, Actor, Event, record
from dispatch.offer import OPEN, Offer, OfferStrategy
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.offer_terms import Travel, facts_of, travel_of, travel_planned
from dispatch.pay import usual_pay_cents
from dispatch.placing import ahead_of, note_retimed, place
from dispatch.planning import Job, Window, job_of, reason_fields
from dispatch.ranking import Candidate, hindrances, rank
from dispatch.settings import Settings
from dispatch.shift import local_day
from dispatch.technician import Engagement, EngagementStatus, Kind, Technician
from dispatch.territory import Territory
from optimizer import Reason

DEFAULT_ANSWER_TIME = timedelta(hours=1)
"""How long one alone may answer where nothing else is said, and never longer than an answer is of use."""
LEAST_ANSWER_TIME = timedelta(minutes=5)
"""Where each of a cascade would have less, the rest is asked at once."""
LEAST_BROADCAST = 5
MOST_PASSED_OVER = 50
"""Of one round, to whom it is noted why they are not asked."""
NOT_ABLE = frozenset({"skill_missing", "level_too_low", "skill_expired"})


@dataclass(frozen=True, slots=True)
class Asking:
    """How a visit is to be offered. technician_nos: whom, in this order; by default whoever could come. answer_s: how
    long each may answer. pay_cents: by default what each engagement says."""

    strategy: OfferStrategy
    technician_nos: Sequence[int] = ()
    answer_s: int | None = None
    pay_cents: int | None = None


@dataclass(frozen=True, slots=True)
class _Person:
    """Who is to be asked. place: among the `able`, from 1 on, where that decided."""

    technician: Technician
    engagement: Engagement
    place: int | None = None
    able: int = 0


@dataclass(frozen=True, slots=True)
class _Round:
    """A round with what surrounds it. offers: all that it sent."""

    session: Session
    settings: Settings
    row: OfferRound
    job: Job
    now: datetime
    offers: list[Offer] = field(default_factory=list)

    @property
    def appointment(self) -> Appointment:
        return self.job.appointment

    @property
    def standing(self) -> list[Offer]:
        return [offer for offer in self.offers if offer.status in OPEN]

    @property
    def asked(self) -> set[int]:
        return {offer.technician_no for offer in self.offers}

    @property
    def left(self) -> timedelta:
        return self.row.deadline - self.now

    @property
    def is_at_once(self) -> bool:
        return self.row.strategy is OfferStrategy.BROADCAST or any(not o.takes_time for o in self.offers)

    @property
    def by(self) -> Actor:
        return Actor(self.row.asked_by, self.row.asked_by_id)


def begin(
    session: Session, settings: Settings, appointment: Appointment, asking: Asking, by: Actor, now: datetime
) -> list[Offer]:
    """Begins a round, which supersedes whatever was asked about the visit before, and gives back the first offers: none
    where nobody could come, and then the round has ended unfilled. Raises `InvalidState` for a visit that is with a
    technician or over."""
    appointment.require(Status.UNASSIGNED, Status.SCHEDULED)
    supersede_offers(session, appointment, by, now)
    job = job_of(session, appointment)
    row = OfferRound(
        organization_id=appointment.organization_id,
        appointment_id=appointment.id,
        strategy=asking.strategy,
        technician_nos=list(asking.technician_nos),
        answer_s=asking.answer_s,
        pay_cents=asking.pay_cents,
        deadline=_deadline(session, settings, job, now),
        asked_by=by.role,
        asked_by_id=by.id,
        created_at=now,
    )
    session.add(row)
    session.flush()
    return _advance(_Round(session, settings, row, job, now))


def advance(session: Session, settings: Settings, row: OfferRound, now: datetime) -> list[Offer]:
    """After an answer, or none in time: asks whoever is next, or ends the round unfilled."""
    appointment = session.get_one(Appointment, row.appointment_id)
    query = select(Offer).where(Offer.round_id == row.id).order_by(col(Offer.rank))
    offers = list(session.exec(query.execution_options(populate_existing=True)))
    return _advance(_Round(session, settings, row, job_of(session, appointment), now, offers))


def _advance(asking: _Round) -> list[Offer]:
    if asking.row.status is not RoundStatus.RUNNING or (asking.standing and not asking.is_at_once):
        return []
    is_over = asking.left <= timedelta(0) or (asking.row.strategy is OfferStrategy.DIRECT and asking.offers)
    sent = [] if is_over or _is_likely_enough(asking) else _ask(asking)
    if not sent and not asking.standing:
        _unfilled(asking, [] if is_over else _would_fit_if(asking))
    return sent


def _deadline(session: Session, settings: Settings, job: Job, now: datetime) -> datetime:
    begins, ends = window_of(session, job)
    usual = begins - timedelta(seconds=settings.offer_deadline_s)
    if usual > now:
        return usual
    return now + max(timedelta(0), (begins if begins > now else ends) - now) / 2


def window_of(session: Session, job: Job) -> Window:
    """The promised window, or the day of the earliest start where nothing is promised."""
    appointment, request = job.appointment, job.request
    if appointment.window_start is not None and appointment.window_end is not None:
        return appointment.window_start, appointment.window_end
    zone = ZoneInfo(session.get_one(Territory, appointment.territory_id).time_zone)
    begin = request.earliest_start or request.created_at
    end = local_day(begin.astimezone(zone).date(), zone)[1]
    return begin, min(end, request.due) if request.due else end


# Who is next


def _ranked(asking: _Round) -> list[Candidate]:
    """Who could come of those who were not asked in this round, in the order in which they are asked."""
    window = _window_ahead(asking)
    if window is None:
        return []
    among, without = _considered(asking)
    found = rank(asking.session, asking.settings, asking.job, window, among=among, without=without)
    order = {no: place for place, no in enumerate(among or _planned_first(asking.job))}
    return sorted(found, key=lambda candidate: order.get(candidate.no, len(order)))


def _window_ahead(asking: _Round) -> Window | None:
    """What of the window is still to come; None where nothing is."""
    try:
        return ahead_of(window_of(asking.session, asking.job), asking.now)
    except SlotTaken:
        return None


def _considered(asking: _Round) -> tuple[Collection[int] | None, Collection[int]]:
    """Among whom to look, None for everybody, and who is left out; by number."""
    if asking.row.technician_nos:
        return asking.row.technician_nos, asking.asked
    return None, asking.asked | _gave_back(asking.session, asking.job)


def _would_fit_if(asking: _Round) -> list[dict[str, Any]]:
    """What would let one of those come who were not asked."""
    window = _window_ahead(asking)
    if window is None:
        return []
    among, without = _considered(asking)
    found = hindrances(asking.session, asking.settings, asking.job, window, among=among, without=without)
    return [reason_fields(reason) for reason in found.would_fit_if]


def _planned_first(job: Job) -> list[int]:
    return [] if job.appointment.technician_no is None else [job.appointment.technician_no]


def _gave_back(session: Session, job: Job) -> set[int]:
    """Who accepted this very visit and released it again."""
    query = (
        select(Technician.no)
        .where(Event.by_id == Technician.id, Event.by == "technician")
        .where(Event.subject_id == job.appointment.id, Event.type == "appointment.released")
    )
    return {no for no in session.exec(query) if no is not None}


def _is_likely_enough(asking: _Round) -> bool:
    """Whether those who are still asked will do: a person named them, or one of them accepts with the wanted chance."""
    if not asking.standing:
        return False
    if asking.row.technician_nos:
        return True
    model = model_for(asking.session, asking.row.organization_id)
    return chance_of_filling(_chances(asking, model)) >= asking.settings.wanted_chance


def _chances(asking: _Round, model: AcceptanceModel) -> list[float]:
    """That each of those who are asked now accepts."""
    return [
        model.probability(terms_of_offer(asking.session, asking.job, o, asking.now)) for o in asking.standing
    ]


def terms_of_offer(session: Session, job: Job, offer: Offer, now: datetime) -> JobTerms:
    """What the chance that it is accepted depends on."""
    return _terms(session, job, offer.scheduled_start, offer.detour_s, offer.pay_cents, now)


def _terms(
    session: Session, job: Job, start: datetime, detour_s: int, pay_cents: int, now: datetime
) -> JobTerms:
    zone = ZoneInfo(session.get_one(Territory, job.appointment.territory_id).time_zone)
    return terms_of(trade_of(job.service), zone, start, now, job.service.duration_s, detour_s, pay_cents)


def _ask(asking: _Round) -> list[Offer]:
    if asking.row.strategy is OfferStrategy.DIRECT and (chosen := _chosen(asking)) is not None:
        return _ask_first(asking, [chosen], _answer_time(asking))
    ranked, is_noted = _ranked(asking), not asking.offers and not asking.row.technician_nos
    hindered = _hindered(asking, MOST_PASSED_OVER - len(ranked)) if is_noted else {}
    sent = _ask_at_once(asking, ranked) if asking.is_at_once else _ask_in_turn(asking, ranked)
    if is_noted:
        _note_passed_over(asking, ranked, hindered, {offer.technician_no for offer in sent})
    return sent


def _hindered(asking: _Round, most: int) -> dict[int, Reason]:
    """Why those who are able cannot come, by number; nobody where no more than the ranked are told of."""
    window = _window_ahead(asking)
    if window is None or most <= 0:
        return {}
    _, without = _considered(asking)
    found = hindrances(asking.session, asking.settings, asking.job, window, without=without).reasons
    return {no: reason for no, reason in found.items() if reason.code not in NOT_ABLE}


def _chosen(asking: _Round) -> _Person | None:
    """Whom a person named, or the plan has."""
    named = [*asking.row.technician_nos, *_planned_first(asking.job)]
    people = (_person(asking, no) for no in named)
    return next((person for person in people if person is not None), None)


def _person(asking: _Round, technician_no: int) -> _Person | None:
    """None for who is employed, or does not work for the organization any more."""
    query = (
        select(Technician, Engagement)
        .where(Technician.no == technician_no, Engagement.technician_no == Technician.no)
        .where(Engagement.organization_id == asking.row.organization_id)
        .where(Engagement.status == EngagementStatus.ACTIVE, Engagement.kind != Kind.EMPLOYEE)
    )
    found = asking.session.exec(query).first()
    return _Person(*found) if found is not None else None


def _ask_in_turn(asking: _Round, ranked: Sequence[Candidate]) -> list[Offer]:
    """The next alone, or the rest at once where the time left would not do for one after another."""
    stands = _answer_time(asking)
    if asking.row.strategy is OfferStrategy.CASCADE:
        needed = max(1, _needed(asking, ranked))
        if asking.row.answer_s is None:
            stands = min(DEFAULT_ANSWER_TIME, max(LEAST_ANSWER_TIME, asking.left / needed))
        if needed > 1 and stands * needed > asking.left:
            return _ask_at_once(asking, ranked)
    return _ask_first(asking, _in_order(asking, ranked), stands)


def _in_order(asking: _Round, ranked: Sequence[Candidate]) -> list[_Person]:
    """The ranked, and before them whom the plan has, should it stand there against the rules."""
    named, able = bool(asking.row.technician_nos), len(ranked)
    people = [
        _Person(one.technician, one.engagement, None if named else number, able)
        for number, one in enumerate(ranked, 1)
    ]
    known = {*asking.asked, *(one.no for one in ranked)}
    planned = [] if named else [no for no in _planned_first(asking.job) if no not in known]
    forced = (_person(asking, no) for no in planned)
    return [*(person for person in forced if person is not None), *people]


def _ask_first(asking: _Round, people: Iterable[_Person], stands: timedelta) -> list[Offer]:
    """The first of them whose calendar still has room."""
    for person in people:
        offer = _ask_alone(asking, person, stands)
        if offer is not None:
            return [offer]
    return []


def _answer_time(asking: _Round) -> timedelta:
    return timedelta(seconds=asking.row.answer_s) if asking.row.answer_s else DEFAULT_ANSWER_TIME


def _needed(asking: _Round, ranked: Sequence[Candidate]) -> int:
    """How many of the ranked have to be asked beside those who are, for one to accept with the wanted chance."""
    model = model_for(asking.session, asking.row.organization_id)
    standing = _chances(asking, model)
    chances = (model.probability(_terms_of_candidate(asking, candidate)) for candidate in ranked)
    needed = how_many_to_ask(chain(standing, chances), asking.settings.wanted_chance)
    return max(0, needed - len(standing))


def _terms_of_candidate(asking: _Round, candidate: Candidate) -> JobTerms:
    start = asking.job.start_of(candidate.insertion.start)
    travel = travel_of(candidate)
    pay = _pay_cents(asking, candidate.engagement, travel)
    return _terms(asking.session, asking.job, start, travel.detour_s, pay, asking.now)


def _ask_at_once(asking: _Round, ranked: Sequence[Candidate]) -> list[Offer]:
    """All who were named, or as many as make it likely enough; of a broadcast at least some, for the first answer to
    come soon."""
    named, able = bool(asking.row.technician_nos), len(ranked)
    is_broadcast = asking.row.strategy is OfferStrategy.BROADCAST and not asking.offers
    least = LEAST_BROADCAST if is_broadcast else 0 if asking.standing else 1
    needed = able if named else min(able, max(_needed(asking, ranked), least))
    if not needed:
        return []
    if asking.appointment.status is Status.SCHEDULED:
        _unplan(asking)
    stands = timedelta(seconds=asking.row.answer_s) if asking.row.answer_s else asking.left
    return [
        _send(
            asking,
            OfferStrategy.BROADCAST,
            _Person(one.technician, one.engagement, None if named else number, able),
            travel_of(one),
            asking.job.start_of(one.insertion.start),
            min(asking.now + stands, asking.row.deadline),
        )
        for number, one in enumerate(ranked[:needed], 1)
    ]


def _unplan(asking: _Round) -> None:
    """Whoever accepts first gets the visit; until then it takes nobody's time."""
    appointment = asking.appointment
    give_back(asking.session, asking.settings, appointment)
    appointment.move(Status.UNASSIGNED)
    asking.session.add(appointment)
    before, after = {"status": Status.SCHEDULED.value}, {"status": Status.UNASSIGNED.value}
    record(
        asking.session,
        appointment.organization_id,
        appointment.id,
        "appointment.unassigned",
        asking.now,
        asking.by,
        "it is offered to several at once",
        before,
        after,
    )


def _ask_alone(asking: _Round, person: _Person, stands: timedelta) -> Offer | None:
    """None where the calendar filled meanwhile, or nobody could leave in time any more."""
    session, appointment, technician = asking.session, asking.appointment, person.technician
    if appointment.technician_no != technician.no:
        try:
            window = ahead_of(window_of(session, asking.job), asking.now)
            moved = place(session, asking.settings, asking.job, window, technician.no)
        except SlotTaken:
            return None
        note_retimed(session, moved.retimed, SYSTEM, asking.now)
        if appointment.status is Status.UNASSIGNED:
            appointment.move(Status.SCHEDULED)
            session.add(appointment)
            organization_id, type_ = appointment.organization_id, "appointment.scheduled"
            record(session, organization_id, appointment.id, type_, asking.now, asking.by)
    latest = _latest_answer(appointment, asking.now)
    if latest is None:
        return None
    if asking.row.strategy is OfferStrategy.DIRECT:
        asking.row.deadline = min(asking.now + stands, latest)
    assert appointment.scheduled_start is not None
    offer = _send(
        asking,
        asking.row.strategy,
        person,
        travel_planned(session, asking.settings, asking.job, technician),
        appointment.scheduled_start,
        min(asking.now + stands, asking.row.deadline, latest),
    )
    appointment.agreed_start = appointment.scheduled_start
    appointment.version += 1
    session.add(appointment)
    session.flush()
    mark_block(session, appointment.id, BlockKind.OFFER)
    return offer


def _latest_answer(appointment: Appointment, now: datetime) -> datetime | None:
    """When the technician would have to leave; where that is past, the planned start, at last the end of the window;
    None where all that is over."""
    start, end = appointment.scheduled_start, appointment.window_end
    assert start is not None
    leaves = start - timedelta(seconds=appointment.travel_s or 0)
    return next((at for at in (leaves, start, end) if at is not None and at > now), None)


def _pay_cents(asking: _Round, engagement: Engagement, travel: Travel) -> int:
    if asking.row.pay_cents is not None:
        return asking.row.pay_cents
    return usual_pay_cents(engagement, asking.job.service.duration_s, travel.travel_m)


def _send(
    asking: _Round,
    strategy: OfferStrategy,
    person: _Person,
    travel: Travel,
    start: datetime,
    expires_at: datetime,
) -> Offer:
    appointment, technician_no = asking.appointment, person.technician.no
    assert technician_no is not None
    offer = Offer(
        organization_id=appointment.organization_id,
        appointment_id=appointment.id,
        round_id=asking.row.id,
        technician_no=technician_no,
        strategy=strategy,
        rank=len(asking.offers),
        pay_cents=_pay_cents(asking, person.engagement, travel),
        travel_s=travel.travel_s,
        travel_m=travel.travel_m,
        detour_s=travel.detour_s,
        duration_s=asking.job.service.duration_s,
        scheduled_start=start,
        why=facts_of(asking.job, travel, person.place, person.able),
        expires_at=expires_at,
        created_at=asking.now,
    )
    asking.offers.append(offer)
    asking.session.add(offer)
    asking.session.flush()
    after = {"offer_id": offer.id}
    record(
        asking.session,
        offer.organization_id,
        appointment.id,
        "offer.sent",
        asking.now,
        asking.by,
        after=after,
    )
    note(
        asking.session,
        offer.organization_id,
        appointment.id,
        technician_no,
        Outcome.OFFERED,
        offer.why,
        asking.now,
        offer.id,
    )
    return offer


def _note_passed_over(
    asking: _Round, ranked: Sequence[Candidate], hindered: Mapping[int, Reason], asked: set[int]
) -> None:
    """Why those who were considered are not asked, or not yet: who could come, the cheapest first, then who is able and
    hindered."""
    appointment, of = asking.appointment, len(ranked)
    could = [(one.no, _rank_facts(one, at, of)) for at, one in enumerate(ranked, 1) if one.no not in asked]
    cannot = [(no, [reason_fields(reason)]) for no, reason in hindered.items()]
    for no, facts in [*could, *cannot][:MOST_PASSED_OVER]:
        note(
            asking.session,
            appointment.organization_id,
            appointment.id,
            no,
            Outcome.NOT_OFFERED,
            facts,
            asking.now,
        )


def _rank_facts(candidate: Candidate, place: int, of: int) -> list[dict[str, Any]]:
    said = f"Place {place} of {of} who could come; those before are asked first."
    return [{"code": "rank", "detail": said, "rank": place, "of": of}, _detour_fact(candidate)]


def _detour_fact(candidate: Candidate) -> dict[str, Any]:
    detour_s = candidate.detour[0]
    return {"code": "detour", "detail": f"It adds {detour_s} s to the day's travel.", "detour_s": detour_s}


# Nobody


def _unfilled(asking: _Round, would_fit_if: list[dict[str, Any]]) -> None:
    """A person decides from here on; the promise to the customer stands."""
    session, row, appointment = asking.session, asking.row, asking.appointment
    row.would_fill_if = [*_pay_that_would_fill(asking), *would_fit_if]
    row.end(RoundStatus.UNFILLED, asking.now, appointment.version)
    session.add(row)
    after = {"appointment_id": appointment.id, "would_fill_if": row.would_fill_if}
    record(
        session,
        row.organization_id,
        appointment.service_request_id,
        "request.unfilled",
        asking.now,
        SYSTEM,
        after=after,
    )
    session.flush()


def _pay_that_would_fill(asking: _Round) -> list[dict[str, Any]]:
    """The least pay for which, asked anew, enough of those who were asked would say yes."""
    model = model_for(asking.session, asking.row.organization_id)
    found: list[int] = []
    for count in range(1, len(asking.offers) + 1):
        each = 1 - (1 - asking.settings.wanted_chance) ** (1 / count)
        pays = sorted(pay for offer in asking.offers if (pay := _pay_to_reach(asking, model, offer, each)))
        found += pays[count - 1 : count]
    if not found:
        return []
    offered, pay_cents = max(offer.pay_cents for offer in asking.offers), min(found)
    more = max(0, pay_cents - offered)
    return [
        {
            "code": "pay",
            "detail": f"the pay were that many minor units higher, {pay_cents} in all",
            "by": more,
            "pay_cents": pay_cents,
        }
    ]


def _pay_to_reach(asking: _Round, model: AcceptanceModel, offer: Offer, wanted: float) -> int | None:
    """In all, for one who did not say yes to this pay: the part of those who would not, of whom `wanted` now would."""
    terms = terms_of_offer(asking.session, asking.job, offer, asking.now)
    refused = model.probability(terms)
    per_hour = model.pay_to_reach(terms, refused + wanted * (1 - refused))
    return None if per_hour is None else -(-per_hour * (offer.duration_s + offer.detour_s) // 3600)
