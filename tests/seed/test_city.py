from collections import Counter
from datetime import date, timedelta

import pytest

from seed.calls import NEW_YORK
from seed.city import FREELANCER_AREA_CODES, facts, generate_calls, generate_day, generate_freelancers
from seed.nyc311 import EAST, NORTH, SOUTH, WEST
from seed.trades import TRADES

DAY = date(2026, 11, 24)
SPRING_FORWARD = date(2027, 3, 14)


def test_the_facts_tell_how_many_doors_stayed_closed():
    assert facts()["closed_doors"] == 111
    assert facts()["calls"] == 668
    assert sum(kind["closed_doors"] for kind in facts()["kinds"].values()) == 111


def test_the_facts_add_up():
    kinds = facts()["kinds"].values()

    assert len(kinds) == 18
    assert sum(facts()["by_borough"].values()) == 668
    assert sum(place["calls"] for place in facts()["neighbourhoods"].values()) == 668
    for kind in kinds:
        assert kind["calls"] == sum(kind["descriptors"].values()) == sum(kind["by_borough"].values())
        assert kind["calls"] == kind["without_hour"] + sum(kind["by_hour"].values())


def test_one_seed_gives_one_day():
    assert generate_day(DAY, seed=7) == generate_day(DAY, seed=7)
    assert generate_day(DAY, seed=7) != generate_day(DAY, seed=8)


def test_the_day_has_660_calls_and_90_freelancers_of_eight_trades():
    day = generate_day(DAY)

    assert len(day.calls) == len({call.id for call in day.calls}) == 660
    assert len(day.freelancers) == len({freelancer.id for freelancer in day.freelancers}) == 90
    assert {trade for freelancer in day.freelancers for trade in freelancer.skills} == set(TRADES)


def test_calls_come_in_the_order_of_their_time_on_that_day_in_new_york():
    calls = generate_calls(DAY)

    assert [call.called_at for call in calls] == sorted(call.called_at for call in calls)
    assert {call.called_at.astimezone(NEW_YORK).date() for call in calls} == {DAY}
    assert all(call.called_at <= call.earliest_start < call.due for call in calls)


def test_shares_of_the_generated_calls_are_those_of_the_facts():
    calls = generate_calls(DAY, count=4_000)

    boroughs = Counter(call.borough for call in calls)
    heating = sum(call.service.key == "heat_outage" for call in calls)
    for borough, count in facts()["by_borough"].items():
        assert boroughs[borough] / 4_000 == pytest.approx(count / 668, abs=0.025)
    assert heating / 4_000 == pytest.approx(134 / 668, abs=0.025)
    assert sum(call.closed_door for call in calls) / 4_000 == pytest.approx(111 / 668, abs=0.025)


def test_everything_lies_in_new_york():
    day = generate_day(DAY)

    for place in (*day.calls, *day.freelancers):
        assert SOUTH <= place.lat <= NORTH
        assert WEST <= place.lon <= EAST


def test_freelancers_have_one_to_three_trades_at_levels_from_1_to_5():
    freelancers = generate_freelancers(DAY)

    levels = {level for freelancer in freelancers for level in freelancer.skills.values()}
    assert {len(freelancer.skills) for freelancer in freelancers} == {1, 2, 3}
    assert levels == {1, 2, 3, 4, 5}


def test_homes_are_in_every_borough_in_proportion_to_its_calls():
    homes = Counter(freelancer.borough for freelancer in generate_freelancers(DAY))

    assert homes == {"Brooklyn": 31, "Queens": 21, "Bronx": 20, "Manhattan": 13, "Staten Island": 5}


def test_a_shift_keeps_its_hours_on_the_day_the_clock_changes():
    shifts = {
        (f.starts_at.astimezone(NEW_YORK).hour, f.ends_at - f.starts_at)
        for f in generate_freelancers(SPRING_FORWARD)
    }

    assert (8, timedelta(hours=8)) in shifts
    assert all(7 <= hour <= 16 for hour, _ in shifts)


def test_a_lunch_break_lies_inside_the_shift():
    lunches = [(f, f.lunch) for f in generate_freelancers(DAY) if f.lunch]

    assert 0 < len(lunches) < 90
    for freelancer, lunch in lunches:
        assert freelancer.starts_at < lunch.earliest_start < lunch.latest_end < freelancer.ends_at


def test_telephone_numbers_are_those_kept_for_fiction_and_each_freelancers_is_its_own():
    day = generate_day(DAY)

    phones = [freelancer.phone for freelancer in day.freelancers]
    assert len(set(phones)) == len(phones)
    for phone in (*phones, *(call.customer_phone for call in day.calls)):
        assert phone[:2] == "+1"
        assert phone[5:10] == "55501"
        assert len(phone) == 12
    assert not {call.customer_phone[2:5] for call in day.calls} & set(FREELANCER_AREA_CODES)


def test_more_freelancers_than_numbers_for_fiction_are_refused():
    with pytest.raises(ValueError, match="count must lie between 0 and 199"):
        generate_freelancers(DAY, count=200)
