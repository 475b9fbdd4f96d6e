"""What a visit pays, item by item."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import joining
from dispatch.keys import Principal
from dispatch.offer import Offer
from dispatch.pay import PayItem, PayKind, by_rates, items_of, rates_over_time, usual_pay_cents
from dispatch.profiles import profile_of
from dispatch.technician import Engagement, engagement_of
from tests.api.test_catalogue import usd
from tests.dispatch.world import DISPATCHER, NOW, World

CENTS = st.none() | st.integers(0, 100_000)


def rates(per_visit: int | None = None, per_hour: int | None = None, per_km: int | None = None) -> Engagement:
    return Engagement(
        technician_no=1,
        organization_id="",
        pay_per_visit_cents=per_visit,
        pay_per_hour_cents=per_hour,
        pay_per_km_cents=per_km,
        created_at=NOW,
    )


def offer(pay_cents: int, **columns: Any) -> Offer:
    """Of an hour of work, five kilometres away."""
    return Offer(pay_cents=pay_cents, duration_s=3600, travel_m=5000, **columns)


@given(
    per_visit=CENTS, per_hour=CENTS, per_km=CENTS, duration_s=st.integers(0, 90_000), m=st.integers(0, 10**6)
)
def test_the_items_add_up_to_what_an_offer_says_by_default(
    per_visit: int | None, per_hour: int | None, per_km: int | None, duration_s: int, m: int
) -> None:
    engagement = rates(per_visit, per_hour, per_km)

    items = by_rates(engagement, duration_s, m)

    assert sum(item.cents for item in items) == usual_pay_cents(engagement, duration_s, m)
    assert all(item.cents > 0 for item in items)


def test_each_item_says_how_much_of_what_at_which_rate() -> None:
    items = items_of(offer(6250), rates(per_visit=1000, per_hour=5000, per_km=50))

    assert items == [
        PayItem(PayKind.PER_VISIT, 1000),
        PayItem(PayKind.PER_HOUR, 5000, 3600, 5000),
        PayItem(PayKind.PER_KM, 250, 5000, 50),
    ]


@pytest.mark.parametrize(
    ("pay_cents", "counter", "beyond"),
    [
        (7000, None, [PayItem(PayKind.AGREED, 2000)]),
        (4000, None, [PayItem(PayKind.AGREED, -1000)]),
        (5000, None, []),
        (7000, 7000, [PayItem(PayKind.COUNTER, 2000)]),
        (7000, 9000, [PayItem(PayKind.AGREED, 2000)]),
    ],
)
def test_what_was_agreed_beyond_the_rates_is_an_item_of_its_own(
    pay_cents: int, counter: int | None, beyond: list[PayItem]
) -> None:
    items = items_of(offer(pay_cents, counter_pay_cents=counter), rates(per_hour=5000))

    assert items == [PayItem(PayKind.PER_HOUR, 5000, 3600, 5000), *beyond]


def test_without_rates_the_agreed_pay_is_all_there_is() -> None:
    assert items_of(offer(7000), rates()) == [PayItem(PayKind.AGREED, 7000)]


def test_a_change_of_pay_does_not_change_what_held_before(world: World) -> None:
    technician = world.technician()
    principal = Principal("dispatcher", organization_id=world.organization.id)
    for hours, amount in ((1, 5000), (2, 6000)):
        profile = profile_of(world.session, principal, technician.id, change=True)
        pay = {"pay": {"per_hour": SimpleNamespace(**usd(amount))}}
        joining.change_profile(world.session, profile, pay, DISPATCHER, NOW + timedelta(hours=hours))

    found = rates_over_time(world.session, engagement_of(world.session, technician, world.organization.id))

    # The world's engagements begin at 4,000 cents an hour.
    at = [NOW, NOW + timedelta(hours=1), NOW + timedelta(hours=2)]
    assert [found.at(when).pay_per_hour_cents for when in at] == [4000, 5000, 6000]
