"""`/work/earnings`: what the visits of a week brought, item by item."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from flask import Response, request, url_for

from api import context
from api.auth import PUBLIC, allow
from api.pages.site import pages
from api.pages.visitor import link
from api.pages.work import Worker, of_technician, work_page
from api.pages.work_day import day_of
from dispatch import earnings
from dispatch.earnings import Earning
from dispatch.pay import PayItem, PayKind
from dispatch.technician import EngagementStatus

ITEMS: Mapping[PayKind, str] = {
    PayKind.PER_VISIT: "work.pay.per_visit",
    PayKind.PER_HOUR: "work.pay.per_hour",
    PayKind.PER_KM: "work.pay.per_km",
    PayKind.AGREED: "work.pay.agreed",
    PayKind.COUNTER: "work.pay.counter",
}


@dataclass(frozen=True, slots=True)
class Paid:
    """One visit's pay in words, and what it is made of."""

    service: str
    organization: str
    at: str
    pay: str
    items: tuple[tuple[str, str], ...]


@pages.get("/work/earnings")
@allow(PUBLIC)
@of_technician
def show_earnings(me: Worker) -> Response:
    """Of the local week of a day (`date`, by default today), from Monday to Sunday."""
    day = day_of(me, request.args.get("date"))
    first = day - timedelta(days=day.weekday())
    last = first + timedelta(days=6)
    is_approved = me.standing is not EngagementStatus.PENDING
    profile, session = me.profile, context.session()
    found = earnings.earnings_between(session, profile, first, last) if is_approved else []
    return work_page(
        me,
        "show_earnings",
        "work_earnings.html",
        url_for("pages.show_earnings", date=first.isoformat()),
        is_approved=is_approved,
        week=me.language.say("work.week", first=_told(me, first), last=_told(me, last)),
        sums=[
            me.language.told_money(amount, currency)
            for currency, amount in sorted(earnings.totals(found).items())
        ],
        paid=[_paid(me, earning) for earning in found],
        count=me.language.number(len(found)),
        before=link("show_earnings", date=(first - earnings.WEEK).isoformat()),
        after=link("show_earnings", date=(first + earnings.WEEK).isoformat()),
    )


def _told(me: Worker, day: date) -> str:
    language = me.language
    return language.day_and_month.format(day=language.number(day.day), month=language.months[day.month - 1])


def _paid(me: Worker, earning: Earning) -> Paid:
    currency = earning.organization.currency
    return Paid(
        service=earning.service_name,
        organization=earning.organization.name,
        at=me.language.told_lately(earning.completed_at, me.zone),
        pay=me.language.told_money(earning.pay_cents, currency),
        items=tuple((_item(me, item, currency), _signed(me, item.cents, currency)) for item in earning.items),
    )


def _item(me: Worker, item: PayItem, currency: str) -> str:
    """Per hour: 1 h 30 min at $60."""
    language, said = me.language, me.language.say(ITEMS[item.kind])
    if item.rate_cents is None or item.quantity is None:
        return said
    is_time = item.kind is PayKind.PER_HOUR
    much = language.told_length(item.quantity) if is_time else language.told_distance(item.quantity)
    rate = language.told_money(item.rate_cents, currency)
    return language.say("work.pay.rate", item=said, much=much, rate=rate)


def _signed(me: Worker, cents: int, currency: str) -> str:
    told = me.language.told_money(abs(cents), currency)
    return told if cents >= 0 else f"\N{MINUS SIGN}{told}"
