"""`/work`: what a freelancer uses on a phone, signed in with its key. This is the frame of its pages: who is signed in,
in which language, how it stands with those it works for, and the switch of its duty. The parts are in `work_offers`,
`work_day` and `work_earnings`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import wraps
from http import HTTPStatus
from typing import Any
from zoneinfo import ZoneInfo

from flask import Response, request, url_for
from sqlmodel import func, select

from api import context
from api.auth import PUBLIC, allow
from api.pages.languages import Language, known_code
from api.pages.login import local_path
from api.pages.site import pages
from api.pages.visitor import link, onward, spoken, spoken_page, wanted_code
from dispatch import day as days
from dispatch.access import actor_of
from dispatch.errors import Invalid
from dispatch.events import Actor
from dispatch.offer import OfferStatus
from dispatch.offering import offers_to
from dispatch.profiles import Profile, profile_of
from dispatch.technician import Duty, EngagementStatus, Technician, require_approved, standing

LIMIT = "60/minute"
REFRESH_S = 30
"""So often the pages look for news by themselves."""
LONGEST_REASON = 2_000

DUTIES: Mapping[Duty, str] = {
    Duty.OFF_DUTY: "work.duty.off_duty",
    Duty.AVAILABLE: "work.duty.available",
    Duty.ON_BREAK: "work.duty.on_break",
}
TABS = {"show_offers": "work.offers", "show_day": "work.day", "show_earnings": "work.earnings"}

_STANDING: Mapping[EngagementStatus, str] = {
    EngagementStatus.PENDING: "work.pending",
    EngagementStatus.SUSPENDED: "work.suspended",
}
_MAY: Mapping[EngagementStatus, str] = {
    EngagementStatus.PENDING: "work.pending_may",
    EngagementStatus.SUSPENDED: "work.suspended_may",
}


@dataclass(frozen=True, slots=True)
class Worker:
    """The technician that is signed in. zone: of its walls."""

    profile: Profile
    zone: ZoneInfo
    language: Language
    by: Actor

    @property
    def technician(self) -> Technician:
        return self.profile.technician

    @property
    def standing(self) -> EngagementStatus:
        """Over all that it works for."""
        return standing(self.profile.engagements)

    @property
    def today(self) -> date:
        return self.technician.today(context.now())


@dataclass(frozen=True, slots=True)
class Said:
    """What a page says of the form that led to it. about: which offer or visit, in words."""

    sentence: str
    about: str | None = None


def of_technician(view: Callable[..., Response]) -> Callable[..., Response]:
    """Gives the view who is signed in; leads all others to the page where one signs in."""

    @wraps(view)
    def guarded(**given: str) -> Response:
        if context.principal().role != "technician":
            asked = request.full_path.rstrip("?") if request.method == "GET" else url_for("pages.show_offers")
            return onward(url_for("pages.login", next=asked))
        return view(_worker(), **given)

    return guarded


def _worker() -> Worker:
    principal = context.principal()
    profile = profile_of(context.session(), principal, "me")
    technician = profile.technician
    kept = next((tag for tag in technician.languages if known_code(tag)), None)
    return Worker(profile, ZoneInfo(technician.time_zone), spoken(kept), actor_of(principal))


def work_page(
    me: Worker,
    tab: str,
    template: str,
    here: str,
    status: int = HTTPStatus.OK,
    *,
    told: Said | None = None,
    refused: Said | None = None,
    **values: Any,
) -> Response:
    """A page of the technician's. tab: which of `TABS` it belongs to; here: its address without a chosen language;
    told: what became of the form that led to it; refused: why nothing did."""
    now, t = context.now(), me.language.say
    return spoken_page(
        template,
        me.language,
        here,
        status,
        me=me,
        tab=tab,
        told=told,
        refused=refused,
        own=_spoken_address(here),
        tabs=[(view, link(view), t(key)) for view, key in TABS.items()],
        waiting=_waiting(me),
        duties=[(duty, t(key)) for duty, key in DUTIES.items()],
        notices=_notices(me),
        may=t(_MAY[me.standing]) if me.standing in _MAY else None,
        is_active=me.standing is EngagementStatus.ACTIVE,
        now=now.isoformat(),
        refresh_s=REFRESH_S,
        longest_reason=LONGEST_REASON,
        **values,
    )


def _spoken_address(here: str) -> str:
    """With the language that was chosen, if one was."""
    chosen = wanted_code()
    return f"{here}{'&' if '?' in here else '?'}lang={chosen}" if chosen else here


def _waiting(me: Worker) -> str | None:
    """How many offers wait for an answer, None for none."""
    if me.standing is not EngagementStatus.ACTIVE:
        return None
    pending = offers_to(me.technician, OfferStatus.PENDING, context.now()).subquery()
    count = context.session().exec(select(func.count()).select_from(pending)).one()
    return me.language.number(count) if count else None


def _notices(me: Worker) -> list[str]:
    """Who does not let the technician work, and why, where that was said."""
    profile, t = me.profile, me.language.say
    return [
        t(
            _STANDING[own.status],
            organization=profile.organizations[own.organization_id].name,
            reason=own.status_reason or "",
        )
        for own in profile.engagements
        if own.status in _STANDING
    ]


@pages.post("/work/duty")
@allow(PUBLIC, raw_body=True, idempotent=False, limit=LIMIT)
@of_technician
def switch_duty(me: Worker) -> Response:
    """Whether the technician may be found now; leads back to the page that was shown."""
    session = context.session()
    said = request.form.get("status", "")
    if said not in list(Duty):
        raise Invalid(errors=[("status", "is no duty")])
    locked = profile_of(session, context.principal(), "me", change=True)
    require_approved(session, locked.technician)
    days.set_duty(session, locked.technician, Duty(said), me.by, context.now())
    target = local_path(request.form.get("next")) or ""
    return onward(target if target.startswith("/work") else link("show_offers"))
