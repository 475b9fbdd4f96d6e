"""Earnings: what technicians were paid for, item by item."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Literal, Self

from flask import Response
from pydantic import Field

from api import context
from api.auth import allow
from api.csv_answer import MEDIA_TYPE, csv_answer
from api.openapi import also_answers, resource
from api.pagination import Page, PageQuery, page_through
from api.render import answer
from api.schemas import Answer, Day, Instant, Money, absent, rendered
from api.technicians import TechnicianPath
from dispatch import earnings
from dispatch.earnings import Earning, Sum
from dispatch.pay import PayItem, PayKind
from dispatch.profiles import profile_of
from dispatch.technician import require_approved

pay = resource("earnings", "What technicians earned.")

USUAL_DAYS = 14
COLUMNS = (
    "week_starts_on",
    "completed_at",
    "organization",
    "appointment_id",
    "item",
    "quantity",
    "unit",
    "rate",
    "amount",
    "currency",
)
UNITS = {PayKind.PER_HOUR: "s", PayKind.PER_KM: "m"}


class PayItemOut(Answer):
    """A part of a visit's pay. kind: by the engagement's rates `per_visit`, `per_hour` of work and `per_km` of the way
    to the visit; `agreed`, by what the offer lay above them (or below); `counter`, where the technician's counter-offer
    was taken. rate: for each hour or kilometre."""

    kind: PayKind
    amount: Money
    duration_s: int | None = Field(None, exclude_if=absent)
    distance_m: int | None = Field(None, exclude_if=absent)
    rate: Money | None = Field(None, exclude_if=absent)

    @classmethod
    def of(cls, item: PayItem, currency: str) -> Self:
        """A deduction by its amount too: which of the two it is, says the list that it stands in."""
        return cls(
            kind=item.kind,
            amount=_money(abs(item.cents), currency),
            duration_s=item.quantity if item.kind is PayKind.PER_HOUR else None,
            distance_m=item.quantity if item.kind is PayKind.PER_KM else None,
            rate=None if item.rate_cents is None else _money(item.rate_cents, currency),
        )


class EarningOut(Answer):
    """What one completed visit brought: additions less deductions are `pay`, which the accepted offer said."""

    appointment_id: str
    organization: str
    service_name: str
    completed_at: Instant
    week_starts_on: Day
    pay: Money
    additions: list[PayItemOut]
    deductions: list[PayItemOut]

    @classmethod
    def of(cls, earning: Earning) -> Self:
        """With its money."""
        currency = earning.organization.currency
        return cls(
            appointment_id=earning.appointment_id,
            organization=earning.organization.slug,
            service_name=earning.service_name,
            completed_at=earning.completed_at,
            week_starts_on=earning.week,
            pay=_money(earning.pay_cents, currency),
            additions=[PayItemOut.of(item, currency) for item in earning.items if item.cents > 0],
            deductions=[PayItemOut.of(item, currency) for item in earning.items if item.cents < 0],
        )


class OrganizationSum(Answer):
    """Of one organization's visits."""

    organization: str
    organization_name: str
    visits: int
    additions: Money
    deductions: Money
    pay: Money

    @classmethod
    def of(cls, found: Sum) -> Self:
        """With its money."""
        return cls(**_summed(found))


class WeekSum(OrganizationSum):
    """Of one organization's visits in a week of the technician's time zone, from Monday to Sunday."""

    starts_on: Day
    ends_on: Day

    @classmethod
    def of(cls, found: Sum) -> Self:
        """With its money."""
        assert found.week is not None
        return cls(**_summed(found), starts_on=found.week, ends_on=found.week + timedelta(days=6))


def _summed(found: Sum) -> dict[str, str | int | Money]:
    organization = found.organization
    return {
        "organization": organization.slug,
        "organization_name": organization.name,
        "visits": found.visits,
        "additions": _money(found.additions_cents, organization.currency),
        "deductions": _money(found.deductions_cents, organization.currency),
        "pay": _money(found.pay_cents, organization.currency),
    }


def _money(amount: int, currency: str) -> Money:
    """Sums may be larger than any amount that is taken in."""
    return Money.model_construct(amount=amount, currency=currency)


class EarningsPage(Page[EarningOut]):
    """One page of earnings. weeks, organizations and totals: of the whole range, and of those of its weeks that it cuts
    only the part inside. totals: by currency; amounts of two currencies are never added. All is before taxes and
    expenses, and says nothing of transfers."""

    weeks: list[WeekSum]
    organizations: list[OrganizationSum]
    totals: list[Money]


class EarningsQuery(PageQuery):
    """Local dates of the technician, both included, 92 days at most; by default two weeks up to today. format: `csv`
    for a line an item, the whole range at once."""

    from_: Day | None = Field(None, alias="from")
    to: Day | None = None
    format: Literal["json", "csv"] = "json"


@pay.get(
    "/technicians/<technician_id>/earnings", summary="Read what was earned", responses={200: EarningsPage}
)
@also_answers(
    MEDIA_TYPE,
    f"{','.join(COLUMNS)}\r\n"
    "2027-03-01,2027-03-03T15:05:00Z,acme,01932f6e-7a3b-7cc1-9d3e-5f2a8c4b6e10,per_hour,3600,s,6000,6000,USD\r\n",
)
@allow("dispatcher", "technician")
def read(path: TechnicianPath, query: EarningsQuery) -> Response:
    """Visits completed on these dates, in order of time: for a technician all, for an organization its own. With
    `format=csv` a line for each addition and deduction (`amount` in minor units, negative for a deduction; `quantity`
    in seconds of work or metres of the way), which add up to the totals, currency by currency."""
    session = context.session()
    profile = profile_of(session, context.principal(), path.technician_id)
    if profile.is_own:
        require_approved(session, profile.technician, or_suspended=True)
    last = query.to or profile.technician.today(context.now())
    first = query.from_ or last - timedelta(days=USUAL_DAYS - 1)
    found = earnings.earnings_between(session, profile, first, last)
    if query.format == "csv":
        lines = (line for earning in found for line in _lines(earning))
        return csv_answer(f"earnings-{first}-{last}.csv", COLUMNS, lines)
    rows, cursor = page_through(found, query, lambda e: (e.completed_at.timestamp(), e.appointment_id), 2)
    return answer(
        EarningsPage(
            items=[EarningOut.of(earning) for earning in rows],
            next_cursor=cursor,
            weeks=[WeekSum.of(each) for each in earnings.by_week(found)],
            organizations=[OrganizationSum.of(each) for each in earnings.by_organization(found)],
            totals=[_money(amount, name) for name, amount in sorted(earnings.totals(found).items())],
        )
    )


def _lines(earning: Earning) -> Iterator[tuple[object, ...]]:
    organization = earning.organization
    for item in earning.items:
        yield (
            earning.week,
            rendered(earning.completed_at),
            organization.slug,
            earning.appointment_id,
            item.kind.value,
            item.quantity,
            UNITS.get(item.kind),
            item.rate_cents,
            item.cents,
            organization.currency,
        )
