"""Holds that are asked for, used and given back at the same time, and how many there may be."""

from collections import Counter
from itertools import cycle, islice

from tests.dispatch.world import clock_time
from tests.races.city import PAINTING, WORK, City, windows_of
from tests.races.crowd import one, only_winner
from tests.support.serving import served

CROWD = 20


def test_the_last_slot_is_held_by_one(city: City) -> None:
    watch = city.watches()[0]
    customers = city.customers(2 * CROWD)
    windows = list(islice(cycle(windows_of(watch)), len(customers)))

    answers = city.race(
        *(city.holding(who, city.slot(who, window)) for who, window in zip(customers, windows, strict=True))
    )

    won = only_winner(answers)
    held = one(
        city.url,
        city.booking(
            customers[won], city.slot(customers[won], windows[won]), hold_id=answers[won].body["hold_id"]
        ),
    )
    assert held.said == (201, None)
    assert city.promised() == {customers[won].appointment: windows[won]}


def test_of_those_who_hold_a_slot_and_those_who_book_it_one_wins(city: City) -> None:
    window = windows_of(city.watches()[0])[1]
    holders, bookers = city.customers(CROWD), city.customers(CROWD)

    only_winner(
        city.race(
            *(city.holding(who, city.slot(who, window)) for who in holders),
            *(city.booking(who, city.slot(who, window)) for who in bookers),
        )
    )


def test_nobody_gets_between_a_hold_and_its_booking(city: City) -> None:
    window = windows_of(city.watches()[0])[1]
    holder, others = city.customer(), city.customers(CROWD)
    hold_id = city.hold(holder, window)

    booked, *refused = city.race(
        city.booking(holder, city.slot(holder, window), hold_id=hold_id),
        *(city.booking(who, city.slot(who, window)) for who in others),
    )

    assert booked.said == (201, None)
    assert {answer.said for answer in refused} == {(409, "slot_taken")}


def test_a_hold_is_used_or_given_back(city: City) -> None:
    """Whatever comes first, the other is told, and no time is lost."""
    window = windows_of(city.watches()[0])[1]
    customer = city.customer()
    hold_id = city.hold(customer, window)
    booking = city.booking(customer, city.slot(customer, window), hold_id=hold_id)

    answers = city.race(*islice(cycle([booking, city.releasing(customer, hold_id)]), CROWD))

    bookings, releases = answers[::2], answers[1::2]
    assert {answer.said for answer in releases} == {(200, None)}
    booked = [answer for answer in bookings if answer.said == (201, None)]
    assert len(booked) <= 1
    assert {answer.said for answer in bookings} <= {
        (201, None),
        (409, "already_booked"),
        (410, "hold_expired"),
    }
    assert len(city.calendars().blocks) == len(booked)


def test_a_request_holds_two_windows_however_many_it_asks_for_at_once(city: City) -> None:
    customer = city.customer()
    windows = [windows_of(watch)[1] for watch in city.watches()[:: len(city.days())]]

    answers = city.race(*(city.holding(customer, city.slot(customer, window)) for window in windows))

    assert Counter(answer.said for answer in answers) == {
        (201, None): 2,
        (409, "too_many_holds"): len(windows) - 2,
    }


def test_customers_hold_a_tenth_of_a_day_at_most_however_many_ask_at_once(city: City) -> None:
    """Ten painters work eight hours each, and a visit takes one: eight may be held."""
    morning = clock_time(9, day=city.day_off)
    customers = city.customers(3 * CROWD, house=PAINTING)
    windows = [(morning + n % 5 * WORK, morning + (n % 5 + 1) * WORK) for n in range(len(customers))]

    answers = city.race(
        *(city.holding(who, city.slot(who, window)) for who, window in zip(customers, windows, strict=True))
    )

    assert Counter(answer.said for answer in answers) == {
        (201, None): 8,
        (409, "too_many_holds"): len(customers) - 8,
    }


def test_holds_are_limited_by_address(city: City) -> None:
    """60 a minute, whoever asks and whatever comes of it: of 121 in a row one at least is too many."""
    window = windows_of(city.watches()[0])[1]
    misspelt = [city.holding(who, city.slot(who, window)[:-1]) for who in city.customers(2)]
    with served(city.settings, rate_limits="on") as server:
        answers = [one(server.url, call) for call in islice(cycle(misspelt), 121)]

    limited = [number for number, answer in enumerate(answers) if answer.said == (429, "too_many_requests")]
    assert limited[0] >= 60
    assert {answer.status for answer in answers[:60]} == {422}
    assert 0 < int(answers[limited[0]].headers["retry-after"]) <= 61
