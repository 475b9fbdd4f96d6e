"""What a visit pays by an engagement's rates, item by item; and the rates of before, so that what was earned is
explained by those that held when it was offered."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sqlmodel import Field, Session, SQLModel, col, select

from dispatch.ids import new_id
from dispatch.offer import Offer
from dispatch.technician import Engagement


class Rates(Protocol):
    """In minor units of the organization's currency; what is None is not paid for."""

    pay_per_visit_cents: int | None
    pay_per_hour_cents: int | None
    pay_per_km_cents: int | None


class FormerPay(SQLModel, table=True):
    """Rates of an engagement that held until then."""

    __tablename__ = "former_pay"

    id: str = Field(default_factory=new_id, primary_key=True, max_length=36)
    engagement_id: str = Field(foreign_key="engagement.id", index=True, max_length=36)
    until: datetime
    pay_per_hour_cents: int | None = None
    pay_per_visit_cents: int | None = None
    pay_per_km_cents: int | None = None


def keep_former(session: Session, engagement: Engagement, now: datetime) -> None:
    """To be called before the rates change."""
    session.add(
        FormerPay(
            engagement_id=engagement.id,
            until=now,
            pay_per_hour_cents=engagement.pay_per_hour_cents,
            pay_per_visit_cents=engagement.pay_per_visit_cents,
            pay_per_km_cents=engagement.pay_per_km_cents,
        )
    )


class PayKind(StrEnum):
    """agreed: what the offer said above or below the rates; counter: what the technician asked for instead."""

    PER_VISIT = "per_visit"
    PER_HOUR = "per_hour"
    PER_KM = "per_km"
    AGREED = "agreed"
    COUNTER = "counter"


@dataclass(frozen=True, slots=True)
class PayItem:
    """An addition to the pay of a visit, or a deduction from it where `cents` is negative. quantity: seconds of work,
    or metres of the way to the visit. rate_cents: for each hour or kilometre."""

    kind: PayKind
    cents: int
    quantity: int | None = None
    rate_cents: int | None = None


@dataclass(frozen=True, slots=True)
class RatesOverTime:
    """Of one engagement: those that held until some time, the earliest first, and those that hold now."""

    former: tuple[FormerPay, ...]
    present: Engagement

    def at(self, when: datetime) -> Rates:
        return next((rates for rates in self.former if when < rates.until), self.present)


def rates_over_time(session: Session, engagement: Engagement) -> RatesOverTime:
    query = select(FormerPay).where(FormerPay.engagement_id == engagement.id)
    return RatesOverTime(tuple(session.exec(query.order_by(col(FormerPay.until)))), engagement)


def by_rates(rates: Rates, duration_s: int, travel_m: int) -> list[PayItem]:
    """Per visit, per hour of work and per kilometre of the way to it; their sum is rounded once (half to even), the
    kilometres' part bears it."""
    hours = (rates.pay_per_hour_cents or 0) * duration_s / 3600
    kilometres = (rates.pay_per_km_cents or 0) * travel_m / 1000
    for_hours = round(hours)
    for_kilometres = round(hours + kilometres) - for_hours
    items = [
        PayItem(PayKind.PER_VISIT, rates.pay_per_visit_cents or 0),
        PayItem(PayKind.PER_HOUR, for_hours, duration_s, rates.pay_per_hour_cents),
        PayItem(PayKind.PER_KM, for_kilometres, travel_m, rates.pay_per_km_cents),
    ]
    return [item for item in items if item.cents]


def usual_pay_cents(rates: Rates, duration_s: int, travel_m: int) -> int:
    """What the rates come to for a visit: the sum of `by_rates`."""
    for_hours = (rates.pay_per_hour_cents or 0) * duration_s / 3600
    for_kilometres = (rates.pay_per_km_cents or 0) * travel_m / 1000
    return (rates.pay_per_visit_cents or 0) + round(for_hours + for_kilometres)


def items_of(offer: Offer, rates: Rates) -> list[PayItem]:
    """Whatever adds up to the offer's pay. rates: that held when it was made. An agreed pay that has nothing to do with
    any rates is one item."""
    items = by_rates(rates, offer.duration_s, offer.travel_m)
    return [*items, *_beyond(offer, offer.pay_cents - sum(item.cents for item in items))]


def _beyond(offer: Offer, cents: int) -> Iterator[PayItem]:
    if cents:
        is_counter = offer.counter_pay_cents is not None and offer.pay_cents == offer.counter_pay_cents
        yield PayItem(PayKind.COUNTER if is_counter else PayKind.AGREED, cents)
