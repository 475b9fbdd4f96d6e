"""Key figures of an organization's visits over local days: counted from rows and events, nothing kept ahead.

Each fact lies on one local day, which its territory's time zone decides, in one territory and for one service. Where
nothing was counted (`n` is 0) a share or a mean is None, never 0. `docs/dispatching-record.md` has all definitions.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import date, datetime, timedelta
from enum import StrEnum
from itertools import product
from math import ceil
from statistics import median
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Select, SQLColumnExpression, case, exists, func, literal
from sqlalchemy.orm import aliased
from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status
from dispatch.catalogue import Service, services
from dispatch.events import Event
from dispatch.feedback import Feedback
from dispatch.lateness import LATE
from dispatch.offer import Offer, OfferStatus
from dispatch.offer_round import OfferRound, RoundStatus
from dispatch.organization import Organization
from dispatch.places import Place
from dispatch.promise import Promise, PromiseKind
from dispatch.rostering import require_range
from dispatch.service_request import ServiceRequest
from dispatch.shift import WorkingTime, local_day, working_times
from dispatch.technician import Engagement, EngagementStatus, Technician
from dispatch.territory import Territory, begins_on, territories

OVERRIDDEN = "appointment.overridden"
COMPLETED, CANNOT_COMPLETE, REOPENED = (
    "appointment.completed",
    "appointment.cannot_complete",
    "appointment.reopened",
)
SATISFIED, PROMOTES, DETRACTS = 4, 9, 6
"""CSAT: 4 and 5 of 5 are satisfied. NPS (Reichheld 2003): 9 and 10 of 10 promote, 0 to 6 detract."""
TOLD_REASONS = 10
"""So many reasons are told by their words, the most frequent; others are counted together."""


class By(StrEnum):
    DAY = "day"
    TERRITORY = "territory"
    SERVICE = "service"


@dataclass(slots=True)
class Tally:
    """What was counted of some facts; tallies add up. fill_s: of each round that somebody took, from its beginning.
    csat, ces and nps: what each customer answered."""

    served: int = 0
    unassigned: int = 0
    late_told: int = 0
    begun: int = 0
    begun_on_time: int = 0
    first_completions: int = 0
    fixed: int = 0
    not_completed: Counter[str] = field(default_factory=Counter)
    fill_s: list[int] = field(default_factory=list)
    offers_sent: int = 0
    offers_answered: int = 0
    offers_accepted: int = 0
    shifts: int = 0
    shift_s: int = 0
    work_s: int = 0
    shift_travel_s: int = 0
    travelled: int = 0
    travel_s: int = 0
    travel_m: int = 0
    csat: list[int] = field(default_factory=list)
    ces: list[int] = field(default_factory=list)
    nps: list[int] = field(default_factory=list)
    overrides: int = 0
    overrides_forced: int = 0
    overrides_priced: int = 0
    extra_travel_s: int = 0
    extra_cost_cents: int = 0
    promises: Counter[PromiseKind] = field(default_factory=Counter)

    def add(self, other: "Tally") -> None:
        """What the other has counted too."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def reasons(self) -> list[tuple[str | None, int]]:
        """Why visits could not be completed, the most frequent reason first; None for all that are not told by their
        words."""
        ranked = sorted(self.not_completed.items(), key=lambda item: (-item[1], item[0]))
        told: list[tuple[str | None, int]] = list(ranked[:TOLD_REASONS])
        rest = sum(count for _, count in ranked[TOLD_REASONS:])
        return [*told, (None, rest)] if rest else told

    @property
    def satisfied(self) -> int:
        """How many answers of CSAT are 4 or 5."""
        return sum(answer >= SATISFIED for answer in self.csat)

    @property
    def nps_score(self) -> float | None:
        """From -100 to 100: the share of promoters less that of detractors."""
        promoters = sum(answer >= PROMOTES for answer in self.nps)
        detractors = sum(answer <= DETRACTS for answer in self.nps)
        return None if not self.nps else round((promoters - detractors) / len(self.nps) * 100, 1)


def share(count: int, n: int) -> float | None:
    """To four decimals; None of nothing."""
    return round(count / n, 4) if n else None


def mean(values: Sequence[int]) -> float | None:
    """To two decimals; None of nothing."""
    return round(sum(values) / len(values), 2) if values else None


def middle(values: Sequence[int]) -> int | None:
    """The median; of two in the middle, what lies between."""
    return round(median(values)) if values else None


def nine_tenths(values: Sequence[int]) -> int | None:
    """The 90th percentile by nearest rank: nine of ten took no longer."""
    return sorted(values)[ceil(len(values) * 9 / 10) - 1] if values else None


@dataclass(frozen=True, slots=True)
class Group:
    """What its figures are of; None for what they are not divided by."""

    day: date | None = None
    territory: Territory | None = None
    service: Service | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """groups: in order of day, territory and service; by a single one of them all that there are, by several those in
    which something was counted."""

    from_: date
    to: date
    by: tuple[By, ...]
    total: Tally
    groups: tuple[tuple[Group, Tally], ...]


Key = tuple[date | None, str | None, str | None]


@dataclass(slots=True)
class _Counted:
    """Tallies by day, territory and service, as far as these divide. beside: of what no group can have, such as the
    hours of shifts by service."""

    by: frozenset[By]
    zones: Mapping[str, ZoneInfo]
    groups: dict[Key, Tally] = field(default_factory=dict)
    beside: Tally = field(default_factory=Tally)

    def of(self, at: datetime, territory_id: str, service_id: str) -> Tally:
        return self.of_day(at.astimezone(self.zones[territory_id]).date(), territory_id, service_id)

    def of_day(self, day: date, territory_id: str, service_id: str) -> Tally:
        return self._group(
            day if By.DAY in self.by else None,
            territory_id if By.TERRITORY in self.by else None,
            service_id if By.SERVICE in self.by else None,
        )

    def of_shift(self, day: date, territory_id: str | None) -> Tally:
        """Hours are nobody's service; where a territory is asked for, those of nobody's territory are beside."""
        if By.SERVICE in self.by or (By.TERRITORY in self.by and territory_id is None):
            return self.beside
        return self._group(
            day if By.DAY in self.by else None, territory_id if By.TERRITORY in self.by else None, None
        )

    def _group(self, *key: Any) -> Tally:
        found = self.groups.get(key)
        if found is None:
            found = self.groups[key] = Tally()
        return found

    def total(self) -> Tally:
        total = Tally()
        for tally in (*self.groups.values(), self.beside):
            total.add(tally)
        return total


def figures(
    session: Session, organization: Organization, first: date, last: date, by: Sequence[By], now: datetime
) -> Figures:
    """Of the local days from first to last, both included, divided by any of day, territory and service. Raises
    `Invalid` for more than 92 days."""
    require_range(first, last)
    own = territories(session, organization.id)
    counted = _Counted(frozenset(by), {each.id: ZoneInfo(each.time_zone) for each in own})
    read = _Reader(session, organization, first, last)
    people = _people(read)
    _count_ended(read, counted, {technician.no for technician in people})
    _count_shifts(read, counted, people, own, now)
    for count in (
        _count_completions,
        _count_events,
        _count_rounds,
        _count_offers,
        _count_feedback,
        _count_promises,
        _count_unassigned,
    ):
        count(read, counted)
    return Figures(first, last, tuple(by), counted.total(), tuple(_in_order(read, counted, own)))


@dataclass(frozen=True, slots=True)
class _Reader:
    session: Session
    organization: Organization
    first: date
    last: date

    def facts(self, at: SQLColumnExpression[Any], *columns: Any) -> Select[Any]:
        """A query for when, in which territory and for which service, and the columns: of the organization's visits, on
        its days. What else is read has to be joined by whoever asks."""
        where = col(Appointment.territory_id)
        on_days = begins_on(self.session, self.organization.id, where, at, self.first, self.last)
        query: Select[Any] = (
            select(at, where, col(ServiceRequest.service_id), *columns)
            .select_from(Appointment)
            .join(ServiceRequest, col(ServiceRequest.id) == Appointment.service_request_id)
            .where(Appointment.organization_id == self.organization.id, on_days, at.between(*self.range()))
        )
        return query

    def counts(self, at: SQLColumnExpression[Any], *sums: Any) -> Select[Any]:
        """As `facts`, added up by the database: a line for each day (its number from the first), territory and
        service."""
        days = self._day_number(at).label("day_number")
        query = self.facts(at, *sums).with_only_columns(
            days, col(Appointment.territory_id), col(ServiceRequest.service_id), *sums
        )
        return query.group_by("day_number", col(Appointment.territory_id), col(ServiceRequest.service_id))

    def _day_number(self, at: SQLColumnExpression[Any]) -> ColumnElement[int]:
        """By the clocks of each territory."""
        of_zone: dict[str, list[str]] = {}
        for territory in territories(self.session, self.organization.id):
            of_zone.setdefault(territory.time_zone, []).append(territory.id)
        cases = [
            (col(Appointment.territory_id).in_(ids), self._day_in(at, ZoneInfo(zone)))
            for zone, ids in of_zone.items()
        ]
        return case(*cases, else_=literal(0)) if cases else literal(0)

    def _day_in(self, at: SQLColumnExpression[Any], zone: ZoneInfo) -> ColumnElement[int]:
        begins = [local_day(day, zone)[0] for day in _days(self.first, self.last)]

        def number(low: int, high: int) -> ColumnElement[int]:
            if high - low == 1:
                return literal(low)
            middle = (low + high) // 2
            return case((at < begins[middle], number(low, middle)), else_=number(middle, high))

        return number(0, len(begins))

    def rows(self, query: Select[Any]) -> Iterator[Any]:
        return iter(self.session.execute(query))

    def added(self, query: Select[Any], counted: _Counted) -> Iterator[Any]:
        """The lines of `counts`, each with the tally to which it belongs."""
        for number, where, what, *sums in self.rows(query):
            yield counted.of_day(self.first + timedelta(days=number), where, what), *sums

    def of_types(self, *types: str) -> ColumnElement[bool]:
        return (col(Event.organization_id) == self.organization.id) & col(Event.type).in_(types)

    def range(self) -> tuple[datetime, datetime]:
        """Wherever on earth the days begin and end."""
        utc, most = ZoneInfo("UTC"), timedelta(hours=26)
        return local_day(self.first, utc)[0] - most, local_day(self.last, utc)[1] + most


def _count_ended(read: _Reader, counted: _Counted, people: set[int | None]) -> None:
    """people: of whose hours the work is a share."""
    query = read.facts(
        col(Appointment.actual_end),
        Appointment.status,
        col(Appointment.actual_start).between(col(Appointment.window_start), col(Appointment.window_end)),
        Appointment.actual_start,
        Appointment.travel_s,
        Appointment.travel_m,
        Appointment.technician_no,
    ).where(col(Appointment.status).in_((Status.COMPLETED, Status.CANNOT_COMPLETE)))
    for at, where, what, status, is_on_time, begun, travel_s, travel_m, no in read.rows(query):
        tally = counted.of(at, where, what)
        tally.served += status is Status.COMPLETED
        if is_on_time is not None:
            tally.begun += 1
            tally.begun_on_time += bool(is_on_time)
        if travel_s is not None and travel_m is not None:
            tally.travelled += 1
            tally.travel_s += travel_s
            tally.travel_m += travel_m
        if no in people and begun is not None:
            of_hours = counted.of_shift(at.astimezone(counted.zones[where]).date(), where)
            of_hours.work_s += round((at - begun).total_seconds())
            of_hours.shift_travel_s += travel_s or 0


def _count_completions(read: _Reader, counted: _Counted) -> None:
    """A visit counts where it was completed first, follow-ups of others apart."""
    later, again = aliased(ServiceRequest), aliased(Event)
    followed = exists().where(col(later.follow_up_of) == ServiceRequest.id, col(later.cancelled_at).is_(None))
    reopened = exists().where(col(again.subject_id) == Appointment.id, col(again.type) == REOPENED)

    def of_completions(query: Select[Any]) -> Select[Any]:
        return query.join(Event, col(Event.subject_id) == Appointment.id).where(
            read.of_types(COMPLETED), col(ServiceRequest.follow_up_of).is_(None)
        )

    at, fixed = col(Event.at), func.sum(case((followed, 0), else_=1))
    smooth = of_completions(read.counts(at, func.count(), fixed)).where(~reopened)
    for tally, count, fine in read.added(smooth, counted):
        tally.first_completions += count
        tally.fixed += fine
    bumpy = of_completions(read.facts(at, Event.subject_id, followed)).where(reopened)
    _count_reopened(read, counted, list(read.rows(bumpy.order_by(at))))


def _count_reopened(read: _Reader, counted: _Counted, completions: Sequence[Any]) -> None:
    came_again = _came_again(read, {row[3] for row in completions})
    for at, where, what, visit, is_followed in completions:
        before = [status for opened_at, status in came_again.get(visit, ()) if opened_at < at]
        if Status.COMPLETED.value not in before:
            tally = counted.of(at, where, what)
            tally.first_completions += 1
            tally.fixed += not is_followed and visit not in came_again


def _came_again(read: _Reader, visits: set[str]) -> dict[str, list[tuple[datetime, str]]]:
    """When visits were reopened after somebody had been there, and from which state."""
    query = select(Event.subject_id, Event.at, Event.before).where(
        Event.organization_id == read.organization.id, Event.type == REOPENED
    )
    found: dict[str, list[tuple[datetime, str]]] = {}
    for visit, at, before in read.session.exec(query):
        status = (before or {}).get("status")
        if visit in visits and status in (Status.COMPLETED, Status.CANNOT_COMPLETE):
            found.setdefault(visit, []).append((at, status))
    return found


def _count_events(read: _Reader, counted: _Counted) -> None:
    query = (
        read.facts(col(Event.at), Event.type, Event.subject_id, Event.reason, Event.after)
        .join(Event, col(Event.subject_id) == Appointment.id)
        .where(read.of_types(CANNOT_COMPLETE, LATE, OVERRIDDEN))
        .order_by(col(Event.at), col(Event.id))
    )
    late: set[str] = set()
    for at, where, what, type_, visit, reason, after in read.rows(query):
        if type_ == LATE and visit in late:
            continue
        tally = counted.of(at, where, what)
        if type_ == LATE:
            late.add(visit)
            tally.late_told += 1
        elif type_ == OVERRIDDEN:
            _count_override(tally, after or {})
        else:
            tally.not_completed[_words(reason)] += 1


def _words(reason: str | None) -> str:
    """Reasons that differ in case, spaces or a full stop are one."""
    return " ".join((reason or "").casefold().split()).rstrip(".")


def _count_override(tally: Tally, after: Mapping[str, Any]) -> None:
    tally.overrides += 1
    tally.overrides_forced += bool(after.get("forced"))
    if after.get("extra_travel_s") is not None and after.get("extra_cost_cents") is not None:
        tally.overrides_priced += 1
        tally.extra_travel_s += after["extra_travel_s"]
        tally.extra_cost_cents += after["extra_cost_cents"]


def _count_rounds(read: _Reader, counted: _Counted) -> None:
    query = (
        read.facts(col(OfferRound.ended_at), OfferRound.created_at)
        .join(OfferRound, col(OfferRound.appointment_id) == Appointment.id)
        .where(col(OfferRound.status) == RoundStatus.FILLED)
    )
    for at, where, what, began_at in read.rows(query):
        counted.of(at, where, what).fill_s.append(round((at - began_at).total_seconds()))


def _count_offers(read: _Reader, counted: _Counted) -> None:
    is_accepted = col(Offer.status) == OfferStatus.ACCEPTED
    is_answered = (
        is_accepted | (col(Offer.status) == OfferStatus.DECLINED) | col(Offer.counter_pay_cents).is_not(None)
    )
    sums = [func.count(), *(func.sum(case((is_so, 1), else_=0)) for is_so in (is_answered, is_accepted))]
    query = read.counts(col(Offer.created_at), *sums).join(Offer, col(Offer.appointment_id) == Appointment.id)
    for tally, sent, answered, accepted in read.added(query, counted):
        tally.offers_sent += sent
        tally.offers_answered += answered
        tally.offers_accepted += accepted


def _count_feedback(read: _Reader, counted: _Counted) -> None:
    query = read.facts(col(Feedback.created_at), Feedback.csat, Feedback.ces, Feedback.nps).join(
        Feedback, col(Feedback.appointment_id) == Appointment.id
    )
    for at, where, what, csat, ces, nps in read.rows(query):
        tally = counted.of(at, where, what)
        tally.csat.append(csat)
        tally.ces += [ces] if ces is not None else []
        tally.nps += [nps] if nps is not None else []


def _count_promises(read: _Reader, counted: _Counted) -> None:
    query = (
        read.counts(col(Promise.window_start), Promise.kind, func.count())
        .join(Promise, col(Promise.appointment_id) == Appointment.id)
        .group_by(col(Promise.kind))
    )
    for tally, kind, count in read.added(query, counted):
        tally.promises[kind] += count


def _count_unassigned(read: _Reader, counted: _Counted) -> None:
    begins = func.coalesce(col(Appointment.window_start), col(ServiceRequest.due), type_=_instant())
    query = read.facts(begins).where(col(Appointment.status) == Status.UNASSIGNED)
    for at, where, what in read.rows(query):
        counted.of(at, where, what).unassigned += 1


def _instant() -> Any:
    return Appointment.__table__.c.window_start.type  # type: ignore[attr-defined]


# Hours


def _people(read: _Reader) -> Sequence[Technician]:
    """Whom the organization lets work."""
    query = select(Technician).join(Engagement, col(Engagement.technician_no) == Technician.no)
    return read.session.exec(
        query.where(
            Engagement.organization_id == read.organization.id, Engagement.status == EngagementStatus.ACTIVE
        )
    ).all()


def _count_shifts(
    read: _Reader,
    counted: _Counted,
    people: Sequence[Technician],
    own: Sequence[Territory],
    now: datetime,
) -> None:
    """As far as they are over. A shift is of the territory in which it starts."""
    homes = {technician.no: Place(technician.lat, technician.lon) for technician in people}
    located: dict[Place, Territory | None] = {}
    times = working_times(read.session, list(people), *read.range())
    for shift in (shift for shifts in times.values() for shift in shifts):
        place = shift.start_place or homes[shift.technician_no]
        if place not in located:
            located[place] = next((each for each in own if each.contains(place)), None)
        territory = located[place]
        zone = ZoneInfo((territory or read.organization).time_zone)
        day = shift.starts_at.astimezone(zone).date()
        if read.first <= day <= read.last and shift.starts_at < now:
            tally = counted.of_shift(day, territory.id if territory is not None else None)
            tally.shifts += 1
            tally.shift_s += _worked_s(shift, now)


def _worked_s(shift: WorkingTime, now: datetime) -> int:
    """Until now, without the breaks that are over."""
    pauses_s = sum(pause.duration_s for pause in shift.breaks if pause.latest_end <= now)
    return max(0, round((min(shift.ends_at, now) - shift.starts_at).total_seconds()) - pauses_s)


# In order


def _in_order(read: _Reader, counted: _Counted, own: Sequence[Territory]) -> Iterator[tuple[Group, Tally]]:
    if not counted.by:
        return
    offered = services(read.session, read.organization.id)
    sides: list[list[Any]] = [
        _days(read.first, read.last) if By.DAY in counted.by else [None],
        list(own) if By.TERRITORY in counted.by else [None],
        offered if By.SERVICE in counted.by else [None],
    ]
    alone = len(counted.by) == 1
    for day, territory, service in product(*sides):
        key = day, territory.id if territory else None, service.id if service else None
        if alone or key in counted.groups:
            yield Group(day, territory, service), counted.groups.get(key, Tally())


def _days(first: date, last: date) -> list[date]:
    return [first + timedelta(days=offset) for offset in range((last - first).days + 1)]
