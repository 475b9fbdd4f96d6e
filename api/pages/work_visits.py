"""What a technician says of its visits on `/work/day`: how far each is, that it is late, proof, that somebody has to
come again, and that it gives one back. Sent again, nothing is changed twice; what cannot be any more is told on the
day's page as it stands."""

from collections.abc import Callable

from flask import Response, request

from api import context
from api.auth import PUBLIC, allow
from api.bodies import refusal_of
from api.pages.site import pages
from api.pages.visitor import link, onward, typed
from api.pages.work import LIMIT, LONGEST_REASON, Said, Worker, of_technician
from api.pages.work_day import DELAYS_MIN, STATES, day_of, day_page
from api.visits import AROUND_PHOTO
from dispatch import day as days
from dispatch import follow_up, lateness, proof
from dispatch.access import appointment_of_caller
from dispatch.appointment import Appointment, Status
from dispatch.errors import (
    Conflict,
    DispatchError,
    Forbidden,
    Invalid,
    InvalidState,
    NotFound,
    TooLarge,
    UnsupportedMediaType,
)
from dispatch.follow_up import FollowUp
from dispatch.ids import is_id
from dispatch.proof import LARGEST_PHOTO, MOST_PHOTOS


@pages.post("/work/visits/<appointment_id>/progress")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def say_progress(me: Worker, appointment_id: str) -> Response:
    """How far the visit is."""
    to, reason = request.form.get("status", ""), _reason()
    if to not in list(Status):
        raise Invalid(errors=[("status", "is no state of a visit")])

    def step(visit: Appointment) -> None:
        session, settings = context.session(), context.settings()
        days.progress(session, settings, visit, Status(to), me.by, context.now(), reason=reason)

    return _changed(me, appointment_id, step)


@pages.post("/work/visits/<appointment_id>/release")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def release_visit(me: Worker, appointment_id: str) -> Response:
    """Gives a visit back that was accepted."""
    reason = _reason()

    def release(visit: Appointment) -> str:
        session, settings = context.session(), context.settings()
        days.release(session, settings, visit, me.by, context.now(), _needed(reason))
        return "released"

    return _changed(me, appointment_id, release)


@pages.post("/work/visits/<appointment_id>/late")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def tell_late(me: Worker, appointment_id: str) -> Response:
    """By how much later than planned work will begin; 0 takes that back."""
    said = request.form.get("by_s", "")
    if said not in [str(60 * minutes) for minutes in (0, *DELAYS_MIN)]:
        raise Invalid(errors=[("by_s", "is none of the delays")])

    def tell(visit: Appointment) -> str:
        lateness.tell(context.session(), visit, int(said), me.by, context.now())
        return "on_time" if said == "0" else "late"

    return _changed(me, appointment_id, tell)


@pages.post("/work/visits/<appointment_id>/code")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def prove_by_code(me: Worker, appointment_id: str) -> Response:
    """With the code that the customer told at the door; a wrong one is noted too."""
    code = "".join(typed("code").split())

    def prove(visit: Appointment) -> str:
        session, settings = context.session(), context.settings()
        kept = proof.prove_by_code(session, settings, visit, code, me.by, context.now())
        return "proved" if kept else "wrong_code"

    return _changed(me, appointment_id, prove)


@pages.post("/work/visits/<appointment_id>/photo")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT, max_body_bytes=LARGEST_PHOTO + AROUND_PHOTO)
@of_technician
def prove_by_photo(me: Worker, appointment_id: str) -> Response:
    """With a photo."""
    sent = request.files.get("photo")
    photo = sent.read() if sent is not None else b""

    def prove(visit: Appointment) -> str:
        proof.prove_by_photo(context.session(), visit, photo, me.by, context.now())
        return "proved"

    return _changed(me, appointment_id, prove)


@pages.post("/work/visits/<appointment_id>/follow-up")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def ask_follow_up(me: Worker, appointment_id: str) -> Response:
    """Asks that somebody comes again."""
    reason = _reason()

    def ask(visit: Appointment) -> str:
        follow_up.follow_up(context.session(), visit, FollowUp(_needed(reason)), me.by, context.now())
        return "follow_up"

    return _changed(me, appointment_id, ask)


def _reason() -> str | None:
    said = typed("reason")[:LONGEST_REASON]
    return None if refusal_of(said) else said or None


def _needed(reason: str | None) -> str:
    if reason is None:
        raise Invalid(errors=[("reason", "is needed")])
    return reason


def _changed(me: Worker, appointment_id: str, change: Callable[[Appointment], str | None]) -> Response:
    """Changes the visit, locked, and leads back to it, or to what the change lets the page say; where it cannot be
    changed, shows the day as it stands and says why."""
    session, day = context.session(), day_of(me, request.form.get("date"))
    try:
        with session.begin_nested():
            told = change(_visit(appointment_id))
    except (Conflict, Forbidden, Invalid, NotFound, TooLarge, UnsupportedMediaType) as refused:
        return day_page(me, day, refused.status, refused=Said(_refusal(me, appointment_id, refused)))
    at = {"told": told, "of": appointment_id} if told else {"_anchor": f"visit-{appointment_id}"}
    return onward(link("show_day", date=day.isoformat(), **at))


def _visit(appointment_id: str) -> Appointment:
    if not is_id(appointment_id):
        raise NotFound
    return appointment_of_caller(context.session(), context.principal(), appointment_id, change=True)


def _refusal(me: Worker, appointment_id: str, refused: DispatchError) -> str:
    """The sentence that says why nothing was changed."""
    t, number = me.language.say, me.language.number
    match refused:
        case InvalidState():
            stands = context.session().get_one(Appointment, appointment_id).status
            return t("work.refused.changed", state=t(STATES.get(stands, "work.state.scheduled")))
        case NotFound():
            return t("work.told.not_yours")
        case Forbidden():
            return t("work.refused.suspended")
        case TooLarge() | UnsupportedMediaType():
            return t("work.error.photo", size=number(LARGEST_PHOTO >> 20))
        case Conflict(code="too_many_photos"):
            return t("work.error.photos", most=number(MOST_PHOTOS))
        case Conflict():
            return t("work.error.codes")
    return t("work.error.reason")
