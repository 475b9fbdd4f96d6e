"""200 customers of two organizations book the last slot of one technician at once, round after round.

Each round has a watch of its own with room for one visit (see `city`). In every other round all want the same window,
in the others each wants one of three that overlap in part. Who lost competes again in the next round.
DISPATCH_RACE_ROUNDS says how many rounds there are, 50 by default; `make nightly` has 1,000.
"""

import os
from collections.abc import Sequence
from itertools import cycle, islice

import pytest

from tests.races.city import City, Customer, Window, window_of, windows_of
from tests.races.crowd import Answer, one, only_winner

CUSTOMERS = 200
pytestmark = pytest.mark.nightly

ROUNDS = int(os.environ.get("DISPATCH_RACE_ROUNDS", "50"))


def test_the_last_slot_has_one_winner_round_after_round(city: City) -> None:
    crowd = city.customers(CUSTOMERS)
    promised: dict[Customer, Window] = {}
    for number, watch in enumerate(islice(cycle(city.watches()), ROUNDS)):
        if number % len(city.watches()) == 0:
            take_back(city, promised)
        windows = windows_of(watch)
        wishes = list(islice(cycle(windows if number % 2 else windows[1:2]), CUSTOMERS))
        assert set(windows) <= city.offered(crowd[0], watch).keys()

        answers = city.race(
            *(city.booking(who, city.slot(who, wish)) for who, wish in zip(crowd, wishes, strict=True))
        )

        won = only_winner(answers)
        lost = (won + 1 + number) % CUSTOMERS
        promised[crowd[won]] = wishes[won]
        assert city.promised() == {customer.appointment: window for customer, window in promised.items()}
        assert not windows_offered(answers) & set(windows)
        require_bookable(city, crowd[lost], answers[lost])
        crowd[won], crowd[lost] = city.customers(2)
    for customer, window in promised.items():
        assert window_of(city.read(customer)["arrival_window"]) == window


def windows_offered(answers: Sequence[Answer]) -> set[Window]:
    return {
        window_of(slot["arrival_window"])
        for answer in answers
        if answer.status == 409
        for slot in answer.body["alternatives"]
    }


def require_bookable(city: City, customer: Customer, refusal: Answer) -> None:
    """Books the first alternative, and gives it back to those who come after."""
    slot = refusal.body["alternatives"][0]
    booked = one(city.url, city.booking(customer, slot["slot_id"]))
    assert booked.said == (201, None)
    assert window_of(booked.body["appointment"]["arrival_window"]) == window_of(slot["arrival_window"])
    assert one(city.url, city.cancelling(customer)).said == (200, None)


def take_back(city: City, promised: dict[Customer, Window]) -> None:
    """Cancels all of a lap, so that the watches can be competed for again."""
    for customer in promised:
        assert one(city.url, city.cancelling(customer)).said == (200, None)
    promised.clear()
