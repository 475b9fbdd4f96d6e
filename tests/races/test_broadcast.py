"""50 technicians accept one broadcast at once, round after round; and whatever else is said to offers at the same time.

DISPATCH_BROADCAST_ROUNDS says how many rounds there are, 25 by default; `make nightly` has 500.
"""

import os
from collections import Counter
from random import Random

import pytest

from tests.races.city import ROOFERS, ROOFING, City, Customer
from tests.races.crowd import Call, one

pytestmark = pytest.mark.nightly

ROUNDS = int(os.environ.get("DISPATCH_BROADCAST_ROUNDS", "25"))
SAID: dict[tuple[int, str | None], int] = {(200, None): 1, (409, "offer_taken"): ROOFERS - 1}


def promised(city: City) -> Customer:
    customer = city.customers(1, house=ROOFING)[0]
    city.book(customer, city.roofing)
    return customer


def test_a_broadcast_has_one_winner_round_after_round(city: City) -> None:
    for _ in range(ROUNDS):
        customer = promised(city)
        offers = city.broadcast(customer)

        answers = city.race(*(city.accepting(who, offer) for who, offer in offers))

        assert Counter(answer.said for answer in answers) == SAID
        won = next(number for number, answer in enumerate(answers) if answer.status == 200)
        visit = city.read(customer)
        assert (visit["status"], visit["arrival_window"]["start"]) == (
            "dispatched",
            answers[won].body["arrival_window"]["start"],
        )
        assert one(city.url, city.accepting(*offers[won])).said == (200, None)
        assert one(city.url, city.cancelling(customer)).said == (200, None)


def test_who_wins_one_broadcast_has_no_time_for_another(city: City) -> None:
    """All who have time are asked about three visits, and want them all; three of them get one each."""
    customers = [promised(city) for _ in range(3)]
    asked = [city.broadcast(customer) for customer in customers]
    calls = [city.accepting(who, offer) for offers in asked for who, offer in offers]
    Random(0).shuffle(calls)

    answers = city.race(*calls)

    assert Counter(answer.said for answer in answers)[200, None] == len(customers)
    assert {answer.said for answer in answers} <= {
        (200, None),
        (409, "offer_taken"),
        (409, "no_longer_fits"),
    }
    winners = {block.technician for block in city.calendars().blocks}
    assert len(winners) == len(customers)


def test_an_offer_is_answered_once_whatever_is_said_at_the_same_time(city: City) -> None:
    customer = promised(city)
    roofer = city.roofers[0]
    for turn in range(5):
        body = {"strategy": "direct", "technician_ids": [roofer.id]}
        path = f"/v1/appointments/{customer.appointment}/offers"
        sent = one(city.url, Call("POST", path, body, city.dispatcher))
        assert sent.status == 201, sent
        offer = sent.body["items"][0]["id"]
        calls = [city.accepting(roofer, offer), city.declining(roofer, offer), city.withdrawing(offer)] * 6
        Random(turn).shuffle(calls)

        answers = city.race(*calls, waiting={customer.appointment})

        won = {
            call.path.rpartition("/")[2]
            for call, answer in zip(calls, answers, strict=True)
            if answer.status == 200
        }
        assert len(won) == 1
        assert {answer.said for answer in answers} == {(200, None), (409, "invalid_state")}
        status = city.read(customer)["status"]
        assert status == ("dispatched" if won == {"accept"} else "unassigned")
        if status == "dispatched" or won == {"decline"}:
            assert one(city.url, city.cancelling(customer)).said == (200, None)
            customer = promised(city)
