"""Customers who change their minds at the same time as others make up theirs."""

import secrets
from collections import Counter
from dataclasses import replace
from itertools import cycle, islice

from tests.races.city import City, windows_of
from tests.races.crowd import one, only_winner

CROWD = 20
WON = {(200, None), (201, None)}


def test_of_those_who_move_to_a_slot_and_those_who_book_it_one_wins(city: City) -> None:
    """Who could not move keeps what it had."""
    wanted, *elsewhere = city.watches()
    windows = list(islice(cycle(windows_of(wanted)), 2 * CROWD))
    movers, newcomers = city.customers(CROWD), city.customers(CROWD)
    for mover, watch in zip(movers, elsewhere, strict=False):
        city.book(mover, windows_of(watch)[1])
    before = city.promised()

    answers = city.race(
        *(
            city.rescheduling(who, city.slot(who, window))
            for who, window in zip(movers, windows, strict=False)
        ),
        *(city.booking(who, city.slot(who, window)) for who, window in zip(newcomers, windows, strict=False)),
    )

    won = [number for number, answer in enumerate(answers) if answer.said in WON]
    assert len(won) == 1
    assert Counter(answer.said for answer in answers)[409, "slot_taken"] == 2 * CROWD - 1
    winner = [*movers, *newcomers][won[0]]
    assert city.promised() == before | {winner.appointment: windows[won[0] % CROWD]}


def test_of_those_who_move_to_the_same_slot_one_does(city: City) -> None:
    wanted, *elsewhere = city.watches()
    window = windows_of(wanted)[1]
    movers = city.customers(CROWD)
    for mover, watch in zip(movers, elsewhere, strict=False):
        city.book(mover, windows_of(watch)[1])
    before = city.promised()

    won = only_winner(city.race(*(city.rescheduling(who, city.slot(who, window)) for who in movers)), 200)

    assert city.promised() == before | {movers[won].appointment: window}
    left = windows_of(elsewhere[won])[1]
    city.book(city.customer(), left)


def test_two_who_would_change_places_keep_theirs(city: City) -> None:
    """Each place is taken while the other asks for it; nobody waits for the other for ever."""
    watches = city.watches()[: 2 * CROWD]
    customers = city.customers(len(watches))
    windows = [windows_of(watch)[1] for watch in watches]
    for customer, window in zip(customers, windows, strict=True):
        city.book(customer, window)
    swapped = [windows[number ^ 1] for number in range(len(windows))]

    answers = city.race(
        *(
            city.rescheduling(who, city.slot(who, window))
            for who, window in zip(customers, swapped, strict=True)
        )
    )

    assert {answer.said for answer in answers} == {(409, "slot_taken")}
    assert city.promised() == {
        who.appointment: window for who, window in zip(customers, windows, strict=True)
    }


def test_what_is_cancelled_while_it_is_moved_is_cancelled_and_free(city: City) -> None:
    """Moves before the cancellation succeed; whatever comes after it is told so."""
    first, second = (windows_of(watch)[1] for watch in city.watches()[:2])
    customer = city.customer()
    city.book(customer, first)
    moves = [city.rescheduling(customer, city.slot(customer, window)) for window in (second, first)]

    answers = city.race(*islice(cycle([*moves, city.cancelling(customer)]), 3 * CROWD))

    cancellations = answers[2::3]
    assert [answer.said for answer in cancellations].count((200, None)) == 1
    assert {answer.said for answer in answers} <= {(200, None), (409, "invalid_state")}
    assert city.read(customer)["status"] == "cancelled"
    assert not city.calendars().blocks
    for window in (first, second):
        city.book(city.customer(), window)


def test_a_slot_that_is_given_up_goes_to_one_of_those_who_wait_for_it(city: City) -> None:
    """Whoever asks too early is refused, and at most one can have it; it is not lost."""
    window = windows_of(city.watches()[0])[1]
    holder, waiting = city.customer(), city.customers(CROWD)
    city.book(holder, window)

    given_up, *answers = city.race(
        city.cancelling(holder), *(city.booking(who, city.slot(who, window)) for who in waiting)
    )

    assert given_up.said == (200, None)
    won = [who for who, answer in zip(waiting, answers, strict=True) if answer.said == (201, None)]
    assert len(won) <= 1
    assert {answer.said for answer in answers} <= {(201, None), (409, "slot_taken")}
    if not won:
        city.book(waiting[0], window)


def test_a_request_that_is_booked_many_times_at_once_is_booked_once(city: City) -> None:
    customer = city.customer()
    windows = [windows_of(watch)[1] for watch in city.watches()[:CROWD]]

    answers = city.race(*(city.booking(customer, city.slot(customer, window)) for window in windows))

    assert Counter(answer.said for answer in answers) == {(201, None): 1, (409, "already_booked"): CROWD - 1}
    won = next(window for window, answer in zip(windows, answers, strict=True) if answer.status == 201)
    assert city.promised() == {customer.appointment: won}


def test_one_idempotency_key_sent_many_times_at_once_books_once(city: City) -> None:
    """Every answer is the first one, or says that it is still on its way; asked again, all have the first."""
    customer = city.customer()
    window = windows_of(city.watches()[0])[1]
    booking = city.booking(customer, city.slot(customer, window))
    call = replace(booking, idempotency_key=secrets.token_urlsafe(32))

    answers = city.race(*[call] * CROWD)

    booked = [answer for answer in answers if answer.status == 201]
    refused = [answer for answer in answers if answer.status != 201]
    assert {answer.said for answer in refused} <= {(409, "idempotency_in_flight")}
    assert [answer.headers.get("idempotent-replayed") for answer in booked].count(None) == 1
    assert all(answer.body == booked[0].body for answer in booked)
    again = one(city.url, call)
    assert (again.status, again.body) == (201, booked[0].body)
    assert again.headers["idempotent-replayed"] == "true"
    assert city.promised() == {customer.appointment: window}
