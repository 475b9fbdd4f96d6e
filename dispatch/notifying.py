"""Telling customers: takes due rows of the outbox, puts them into words and hands them to a channel.

At least once: a row is taken up in a transaction that makes it due again later, sent outside any transaction, and
then marked; who is killed between leaves it to be sent again. Before it is sent, each is held against what stands now:
nothing is told after a cancellation, nor what a newer row tells better. A cancellation that is committed while the
message is on its way to the channel comes too late for it; its own row follows.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import Engine, case
from sqlmodel import Session, col, select

from dispatch.appointment import Appointment, Status
from dispatch.catalogue import Service
from dispatch.channels import Channel, Message, NotSent
from dispatch.customer import Channel as Means
from dispatch.customer import Customer
from dispatch.database import open_session, transaction
from dispatch.events import SYSTEM, record
from dispatch.feedback import Feedback
from dispatch.links import action_url, tracking_url
from dispatch.organization import Organization
from dispatch.outbox import REMINDERS, Kind, Notification, State, commitment
from dispatch.service_request import ServiceRequest
from dispatch.settings import Settings
from dispatch.shift import instant
from dispatch.technician import Technician
from dispatch.territory import Territory
from dispatch.tracking import expected_arrival
from dispatch.wording import Wording, expected, wording

LEASE = timedelta(minutes=5)
"""So long somebody may take to send; then the row is anybody's again."""
FIRST_PAUSE, LONGEST_PAUSE = timedelta(minutes=1), timedelta(hours=1)
MOST_ATTEMPTS = 12
"""With pauses that double up to an hour: given up after some seven hours."""
TRIES_EACH = 2
"""So often one address is tried before another one of the customer has its turn."""
NOT_TOLD = "notification.given_up"
"""The event of a message that reached nobody."""
log = structlog.get_logger(__name__)

_AHEAD = (Status.UNASSIGNED, Status.SCHEDULED, Status.DISPATCHED)
_TRUE_WHILE: Mapping[Kind, tuple[Status, ...]] = {
    Kind.BOOKED: (*_AHEAD, Status.EN_ROUTE, Status.ON_SITE),
    Kind.CHANGED: (*_AHEAD, Status.EN_ROUTE, Status.ON_SITE),
    Kind.CANCELLED: (Status.CANCELLED,),
    Kind.DAY_BEFORE: _AHEAD,
    Kind.ON_THE_DAY: _AHEAD,
    Kind.TECHNICIAN_CONFIRMED: (Status.DISPATCHED, Status.EN_ROUTE),
    Kind.ON_THE_WAY: (Status.EN_ROUTE,),
    Kind.RUNNING_LATE: (*_AHEAD, Status.EN_ROUTE),
    Kind.ARRIVED: (Status.ON_SITE, Status.COMPLETED, Status.CANNOT_COMPLETE),
    Kind.DONE: (Status.COMPLETED,),
    Kind.RATE_US: (Status.COMPLETED,),
}
"""In which states of the visit each may still be told."""
_URGENT = frozenset({Kind.ON_THE_WAY, Kind.RUNNING_LATE, Kind.ARRIVED, Kind.DONE})
"""News of this very moment, which no quiet hour holds back."""
_MOVABLE = frozenset({Kind.BOOKED, Kind.CHANGED, Kind.TECHNICIAN_CONFIRMED, *REMINDERS})
"""Told while another time can still be chosen."""


@dataclass(frozen=True, slots=True)
class _Dropped:
    why: str


@dataclass(frozen=True, slots=True)
class _Held:
    """Until quiet hours end."""

    until: datetime


def send_due(
    engine: Engine,
    settings: Settings,
    channel: Channel,
    clock: Callable[[], datetime],
    goes_on: Callable[[], bool] = lambda: True,
) -> int:
    """Sends what is due, one after another, for as long as `goes_on`; gives back how many left. Several may do so at a
    time."""
    sent = 0
    while goes_on():
        with transaction(engine) as session:
            taken = _take_up(session, clock())
        if taken is None:
            break
        sent += _tell(engine, settings, channel, taken, clock)
    return sent


def _take_up(session: Session, now: datetime) -> Notification | None:
    """The next row that is due, for the caller to send within the lease: news before what was foreseen, of which there
    is much at the same hour."""
    foreseen = case((col(Notification.kind).in_((*REMINDERS, Kind.RATE_US)), 1), else_=0)
    query = (
        select(Notification)
        .where(Notification.state == State.PENDING, col(Notification.due_at) <= now)
        .order_by(foreseen, col(Notification.due_at), col(Notification.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    while (row := session.exec(query).first()) is not None:
        if row.attempts < MOST_ATTEMPTS:
            row.attempts += 1
            row.due_at = now + LEASE
            session.add(row)
            session.flush()
            session.expunge(row)
            return row
        _give_up(session, row, now, "attempts")
        session.add(row)
        session.flush()
    return None


def _give_up(session: Session, row: Notification, now: datetime, why: str) -> None:
    """A dispatcher reads it among the events of the visit, and may telephone."""
    row.end(State.GIVEN_UP, now, why)
    after = {"message": row.kind.value, "why": why}
    record(session, row.organization_id, row.appointment_id, NOT_TOLD, now, SYSTEM, after=after)
    log.error("customer_not_told", notification_id=row.id, kind=row.kind.value, why=why)


def _tell(
    engine: Engine,
    settings: Settings,
    channel: Channel,
    taken: Notification,
    clock: Callable[[], datetime],
) -> bool:
    """Whether it left."""
    with open_session(engine, read_only=True) as session:
        prepared = prepare(session, settings, channel.carries, taken, clock())
    if isinstance(prepared, _Dropped | _Held):
        _settle(engine, taken, prepared, clock())
        return False
    failure = _send(channel, prepared)
    _settle(engine, taken, failure, clock())
    return failure is None


def _send(channel: Channel, messages: Sequence[Message]) -> NotSent | None:
    """The first that the channel takes; who is refused at one address for good may be reached at the next. Gives back
    why none left."""
    failure = None
    for message in messages:
        try:
            channel.send(message)
        except NotSent as refusal:
            failure = refusal
            if not refusal.for_good:
                break
        else:
            return None
    return failure


def _settle(
    engine: Engine, taken: Notification, outcome: _Dropped | _Held | NotSent | None, now: datetime
) -> None:
    """Notes what became of a row. What left is marked so whatever happened meanwhile; the rest only if nobody else has
    taken the row up or dropped it since."""
    with transaction(engine) as session:
        row = session.get_one(Notification, taken.id, with_for_update=True)
        is_ours = row.state is State.PENDING and row.attempts == taken.attempts
        if outcome is None:
            row.end(State.SENT, now)
        elif is_ours:
            _note(session, row, outcome, now)
        session.add(row)


def _note(session: Session, row: Notification, outcome: _Dropped | _Held | NotSent, now: datetime) -> None:
    match outcome:
        case _Dropped(why):
            row.end(State.DROPPED, now, why)
        case _Held(until):
            row.due_at = until
            row.attempts -= 1
        case NotSent(for_good=True):
            _give_up(session, row, now, "refused")
        case _:
            row.due_at = now + min(FIRST_PAUSE * 2 ** (row.attempts - 1), LONGEST_PAUSE)
            log.warning(
                "customer_not_told_yet", notification_id=row.id, attempts=row.attempts, why=str(outcome)
            )


# Whether


def prepare(
    session: Session, settings: Settings, carries: frozenset[Means], row: Notification, now: datetime
) -> list[Message] | _Dropped | _Held:
    """The message as it is to leave now, to each address of the customer in the order in which they are tried; or why
    it must not leave, or not yet."""
    appointment = session.get_one(Appointment, row.appointment_id)
    zone = ZoneInfo(session.get_one(Territory, appointment.territory_id).time_zone)
    overtaken = _overtaken(session, row, appointment, zone, now)
    if overtaken is not None:
        return _Dropped(overtaken)
    until = held_until(settings.quiet, row.kind, appointment, zone, now)
    if until is not None:
        return _Held(until)
    request = session.get_one(ServiceRequest, appointment.service_request_id)
    customer = session.get_one(Customer, request.customer_id)
    reached = _reached(customer, carries)
    if isinstance(reached, _Dropped):
        return reached
    words = wording(customer.language)
    subject, body = _written(session, settings, row, appointment, request, words, zone, now)
    return [
        Message(
            id=row.id,
            kind=row.kind.value,
            appointment_id=appointment.id,
            means=means,
            to=to,
            subject=subject,
            body=body,
            language=words.language,
            direction=words.direction,
        )
        for means, to in _in_turn(reached, row.attempts)
    ]


def _overtaken(
    session: Session, row: Notification, appointment: Appointment, zone: ZoneInfo, now: datetime
) -> str | None:
    """Why it is not to be told any more, in a word."""
    if row.revision != appointment.promise_revision:
        return "superseded"
    if appointment.status not in _TRUE_WHILE[row.kind]:
        return "cancelled" if appointment.status is Status.CANCELLED else "overtaken"
    if row.kind is Kind.TECHNICIAN_CONFIRMED and row.occasion != commitment(appointment):
        return "superseded"
    if row.kind in REMINDERS and not _reminds(row.kind, appointment, zone, now):
        return "overtaken"
    if row.kind is Kind.RATE_US and session.get(Feedback, appointment.id) is not None:
        return "rated"
    return None


def _reminds(kind: Kind, appointment: Appointment, zone: ZoneInfo, now: datetime) -> bool:
    """Whether "tomorrow" and "today" are still true: after downtime they may not be."""
    assert appointment.window_start is not None
    day, today = appointment.window_start.astimezone(zone).date(), now.astimezone(zone).date()
    ahead = timedelta(days=1) if kind is Kind.DAY_BEFORE else timedelta(0)
    return day == today + ahead and now < appointment.window_start


def held_until(
    quiet: tuple[time, time] | None, kind: Kind, appointment: Appointment, zone: ZoneInfo, now: datetime
) -> datetime | None:
    """When the present quiet hours end; None if there are none now or the news cannot wait: it is of the same local
    day, or of a visit that may begin before they end."""
    until = quiet_until(quiet, zone, now)
    if until is None or kind in _URGENT:
        return None
    if kind is Kind.RATE_US:
        return until
    assert appointment.window_start is not None
    same_day = appointment.window_start.astimezone(zone).date() == now.astimezone(zone).date()
    return None if same_day or appointment.window_start <= until else until


def quiet_until(quiet: tuple[time, time] | None, zone: ZoneInfo, now: datetime) -> datetime | None:
    """The end of the quiet hours in which `now` lies, by the wall clock of the zone."""
    if quiet is None:
        return None
    begins, ends = quiet
    today = now.astimezone(zone).date()
    for day in (today - timedelta(days=1), today):
        last = day if ends > begins else day + timedelta(days=1)
        if instant(day, begins, zone) <= now < instant(last, ends, zone):
            return instant(last, ends, zone)
    return None


Address = tuple[Means, str]


def _reached(customer: Customer, carries: frozenset[Means]) -> list[Address] | _Dropped:
    """As the customer prefers, then by what else is known and can be used; a text before mail. A chat is by the phone's
    number, and only with those who want it."""
    if customer.preferred_channel is Means.NONE:
        return _Dropped("unwanted")
    known = {Means.SMS: customer.phone, Means.CHAT: customer.phone, Means.EMAIL: customer.email}
    wanted: dict[Means, None] = dict.fromkeys(
        means for means in (customer.preferred_channel, Means.SMS, Means.EMAIL) if means
    )
    reached = [(means, to) for means in wanted if means in carries and (to := known[means])]
    return reached or _Dropped("unreachable")


def _in_turn(addresses: list[Address], attempts: int) -> list[Address]:
    """From the one whose turn it is at this attempt."""
    first = (attempts - 1) // TRIES_EACH % len(addresses)
    return addresses[first:] + addresses[:first]


# In which words


def _written(
    session: Session,
    settings: Settings,
    row: Notification,
    appointment: Appointment,
    request: ServiceRequest,
    words: Wording,
    zone: ZoneInfo,
    now: datetime,
) -> tuple[str, str]:
    window = appointment.window_start, appointment.window_end
    assert window[0] is not None
    assert window[1] is not None
    organization = session.get_one(Organization, appointment.organization_id)
    values = {
        "organization": organization.name,
        "service": session.get_one(Service, request.service_id).name,
        "day": words.day(window[0], zone),
        "window": words.window(window[0], window[1], zone),
        "technician": _first_name(session, appointment),
    }
    if row.expected_at is not None:
        values["expected"] = words.time(expected(row.expected_at), zone)
        values["delay"] = words.duration(row.expected_at - window[1])
    subject, body = words.message(row.kind.value, values)
    parts = [_with_eta(session, settings, row.kind, appointment, words, zone, now, body)]
    links = _links(settings, row.kind, appointment, organization)
    parts += [f"{words.line(name)}\n{url}" for name, url in links]
    return subject, "\n\n".join(parts)


def _first_name(session: Session, appointment: Appointment) -> str:
    query = select(Technician).where(Technician.no == appointment.technician_no)
    technician = session.exec(query).first()
    return technician.first_name if technician is not None else ""


def _with_eta(
    session: Session,
    settings: Settings,
    kind: Kind,
    appointment: Appointment,
    words: Wording,
    zone: ZoneInfo,
    now: datetime,
    body: str,
) -> str:
    eta = expected_arrival(session, settings, appointment, now) if kind is Kind.ON_THE_WAY else None
    if eta is None:
        return body
    told = words.line("eta", {"eta": words.window(expected(eta[0]), expected(eta[1]), zone)})
    return words.sentences(body, told)


def _links(
    settings: Settings, kind: Kind, appointment: Appointment, organization: Organization
) -> list[tuple[str, str]]:
    """What stands above each link, and the link; none into a visit whose link a dispatcher has taken back."""
    if kind is Kind.CANCELLED:
        return [("rebook", f"{settings.public_url}/book/{organization.slug}")]
    if appointment.tracking_revoked or kind in (Kind.ARRIVED, Kind.DONE):
        return []
    follow = ("follow", tracking_url(settings, appointment))
    if kind is Kind.RATE_US:
        return [("rate", follow[1])]
    if kind not in _MOVABLE:
        return [follow]
    move = ("move", action_url(settings, appointment, "move"))
    if kind not in REMINDERS or appointment.customer_confirmed_at is not None:
        return [follow, move]
    return [("confirm", action_url(settings, appointment, "confirm")), move]
