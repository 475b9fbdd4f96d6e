"""`/work/day`: the technician's day as a list and a map. What can be said of its visits is in `work_visits`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from http import HTTPStatus

from flask import Response, request, url_for
from sqlmodel import col, select

from api import context
from api.auth import PUBLIC, allow
from api.pages.leaflet import leaflet_file
from api.pages.site import pages
from api.pages.visitor import link
from api.pages.work import Said, Worker, of_technician, work_page
from api.pages.work_offers import geo
from api.policy import content_policy
from dispatch import day as days
from dispatch.appointment import ENDED, Appointment, Status
from dispatch.booking import promised_window
from dispatch.day import DayRoute, RouteStop
from dispatch.disclosure import for_its_technician
from dispatch.ids import is_id
from dispatch.offer import OPEN, Offer
from dispatch.places import Place, place_of
from dispatch.proof import FORMATS, MET, PHOTOGRAPHED
from dispatch.rostering import shifts_between
from dispatch.shift import WorkingTime
from dispatch.technician import EngagementStatus

SOON = timedelta(hours=12)
"""From so long before its planned start on, a visit can be said to be under way; before, it would be a slip."""
DELAYS_MIN = (10, 20, 30, 45, 60)
FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2199, 12, 30)

STATES: Mapping[Status, str] = {
    Status.SCHEDULED: "work.state.scheduled",
    Status.DISPATCHED: "work.state.dispatched",
    Status.EN_ROUTE: "work.state.en_route",
    Status.ON_SITE: "work.state.on_site",
    Status.COMPLETED: "work.state.completed",
    Status.CANNOT_COMPLETE: "work.state.cannot_complete",
    Status.CANCELLED: "work.state.cancelled",
}
NEXT: Mapping[Status, tuple[tuple[Status, str], ...]] = {
    Status.DISPATCHED: ((Status.EN_ROUTE, "work.step.en_route"),),
    Status.EN_ROUTE: ((Status.ON_SITE, "work.step.on_site"), (Status.DISPATCHED, "work.step.undo")),
    Status.ON_SITE: ((Status.COMPLETED, "work.step.completed"),),
}
"""What can be said of a visit in one tap, the likeliest first."""
TOLD: Mapping[str, str] = {
    "late": "work.told.late",
    "on_time": "work.told.on_time",
    "proved": "work.told.proved",
    "follow_up": "work.told.follow_up",
}
"""What a page may say of the form that led to it."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A visit in the technician's words and local time. expected: when its technician said that work will begin.
    address, who and notes: None where it may not know them yet, or no more; geo: its place, or its area. offer_id:
    where it is asked about the visit. steps: status and words."""

    id: str
    number: str
    status: Status
    state: str
    planned: str
    promised: str | None
    expected: str | None
    way: str
    service: str
    organization: str
    address: str | None
    geo: str
    who: str | None
    notes: str | None
    is_confirmed: bool
    offer_id: str | None
    steps: tuple[tuple[str, str], ...]
    may: frozenset[str]


@pages.get("/work/day")
@allow(PUBLIC)
@of_technician
def show_day(me: Worker) -> Response:
    """The visits of a day (`date`, by default today where the technician is)."""
    return day_page(me, day_of(me, request.args.get("date")))


def day_of(me: Worker, said: str | None) -> date:
    """The local day that is asked for; today where none is, or what is said is none."""
    try:
        day = date.fromisoformat(said or "")
    except ValueError:
        return me.today
    return day if FIRST_DAY <= day <= LAST_DAY else me.today


def day_page(me: Worker, day: date, status: int = HTTPStatus.OK, *, refused: Said | None = None) -> Response:
    """The day as it stands. refused: why what was sent changed nothing."""
    session, settings, language = context.session(), context.settings(), me.language
    is_active = me.standing is EngagementStatus.ACTIVE
    route = _route(me, day) if is_active else DayRoute(())
    shifts = shifts_between(session, me.technician, day, day) if is_active else []
    refused = refused or _refused(me)
    one = timedelta(days=1)
    response = work_page(
        me,
        "show_day",
        "work_day.html",
        url_for("pages.show_day", date=day.isoformat()),
        status,
        told=None if refused else _told(me),
        refused=refused,
        day=day.isoformat(),
        day_words=language.told_day(day),
        is_today=day == me.today,
        before=link("show_day", date=(day - one).isoformat()),
        after=link("show_day", date=(day + one).isoformat()),
        to_today=link("show_day"),
        hours=[language.told_window((shift.starts_at, shift.ends_at), me.zone) for shift in shifts],
        zone=language.told_zone(context.now(), me.zone),
        stops=_stops(me, route),
        total=_way(me, "work.total", route.travel_s, route.travel_m),
        delays=[(60 * minutes, language.told_length(60 * minutes)) for minutes in DELAYS_MIN],
        photos=",".join(FORMATS.values()),
        points=_points(me, route, shifts),
        leaflet_file=leaflet_file,
        tiles=settings.tile_url,
        attribution=settings.tile_attribution,
    )
    response.headers["Content-Security-Policy"] = content_policy(settings.tile_origin)
    return response


def _route(me: Worker, day: date) -> DayRoute:
    found = days.route_on(context.session(), me.technician, day, None)
    return for_its_technician(found, me.profile.engagements, context.now())


def _refused(me: Worker) -> Said | None:
    return Said(me.language.say("work.told.wrong_code")) if request.args.get("told") == "wrong_code" else None


def _told(me: Worker) -> Said | None:
    """What the page says of the form that led to it, where that still holds."""
    said, appointment_id = request.args.get("told", ""), request.args.get("of", "")
    if said in TOLD:
        return Said(me.language.say(TOLD[said]))
    if said != "released" or not is_id(appointment_id):
        return None
    visit = context.session().get(Appointment, appointment_id)
    is_back = visit is not None and visit.technician_no != me.technician.no
    return Said(me.language.say("work.told.released")) if is_back else None


def _stops(me: Worker, route: DayRoute) -> list[Stop]:
    asked = _asked(me, [stop.appointment.id for stop in route.stops])
    return [
        _stop(me, stop, number, asked.get(stop.appointment.id)) for number, stop in enumerate(route.stops, 1)
    ]


def _stop(me: Worker, stop: RouteStop, number: int, offer_id: str | None) -> Stop:
    language, visit, t = me.language, stop.appointment, me.language.say
    assert visit.scheduled_start is not None
    assert visit.scheduled_end is not None
    can_begin = visit.scheduled_start - context.now() <= SOON
    expected = visit.expected_start.astimezone(me.zone) if visit.expected_start else None
    return Stop(
        id=visit.id,
        number=language.number(number),
        status=visit.status,
        state=t("work.state.offered" if offer_id else STATES[visit.status]),
        planned=language.told_window((visit.scheduled_start, visit.scheduled_end), me.zone),
        promised=language.told_window(promised_window(visit), me.zone) if visit.is_promised else None,
        expected=language.told_time(expected) if expected and visit.status not in ENDED else None,
        way=_way(me, "work.leg", stop.travel_s, stop.travel_m),
        service=stop.service_name,
        organization=me.profile.organizations[visit.organization_id].name,
        address=stop.place.address,
        geo=geo(stop.place.lat, stop.place.lon),
        who=_first(stop.customer_name),
        notes=stop.notes,
        is_confirmed=visit.customer_confirmed_at is not None,
        offer_id=offer_id,
        steps=tuple((to.value, t(key)) for to, key in NEXT.get(visit.status, ())) if can_begin else (),
        may=_may(visit.status, can_begin),
    )


def _may(status: Status, can_begin: bool) -> frozenset[str]:
    """What else can be said of the visit."""
    holds = {
        "release": status is Status.DISPATCHED,
        "late": can_begin and status in (Status.DISPATCHED, Status.EN_ROUTE),
        "fail": status is Status.ON_SITE,
        "code": status in MET,
        "photo": status in PHOTOGRAPHED,
        "follow_up": status in (Status.COMPLETED, Status.CANNOT_COMPLETE),
    }
    return frozenset(name for name, does in holds.items() if does)


def _first(name: str | None) -> str | None:
    """The first of a customer's names."""
    return (name.split() or [name])[0] if name else None


def _way(me: Worker, key: str, travel_s: int, travel_m: int) -> str:
    language = me.language
    length, distance = language.told_length(travel_s), language.told_distance(travel_m)
    return language.say(key, length=length, distance=distance)


def _asked(me: Worker, appointment_ids: Sequence[str]) -> dict[str, str]:
    """The offers that wait for the technician's answer, by appointment id."""
    query = select(Offer).where(
        Offer.technician_no == me.technician.no,
        col(Offer.appointment_id).in_(appointment_ids),
        col(Offer.status).in_(OPEN),
        col(Offer.expires_at) > context.now(),
    )
    return {offer.appointment_id: offer.id for offer in context.session().exec(query)}


def _points(me: Worker, route: DayRoute, shifts: Sequence[WorkingTime]) -> list[dict[str, str | float]]:
    """The way of the day for the map: where it starts, then the visits, by number."""
    if not route.stops:
        return []
    start: Place = (shifts[0].start_place if shifts else None) or place_of(me.technician)
    places = [("", start), *((me.language.number(n), stop.place) for n, stop in enumerate(route.stops, 1))]
    return [{"name": name, "lat": place.lat, "lon": place.lon} for name, place in places]
