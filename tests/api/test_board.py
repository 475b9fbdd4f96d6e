"""The board over HTTP."""

from typing import Any

from dispatch.ids import new_id
from tests.support.acme import CUSTOMERS, NEIGHBOURS, Acme

DATE = "2027-03-03"
DAY = {"from": DATE, "to": DATE}


def board(acme: Acme, **query: Any) -> Any:
    return acme.client.read("/v1/board", key=acme.dispatcher, territory_id=acme.territory["id"], **query)


def test_the_board_shows_who_works_and_where_and_what_is_left(acme: Acme) -> None:
    acme.shift("2027-03-03T09:00:00-05:00", "2027-03-03T10:45:00-05:00")
    casey, drew = acme.request("Casey", CUSTOMERS), acme.request("Drew", NEIGHBOURS)
    booked = acme.book(casey, acme.slots(casey, **DAY)["items"][0])["appointment"]

    shown = board(acme, date=DATE)

    ada = shown["technicians"][0]
    assert (ada["name"], ada["kind"], ada["duty"]) == ("Ada Lovelace", "freelancer", "off_duty")
    assert [shift["starts_at"] for shift in ada["shifts"]] == ["2027-03-03T14:00:00Z"]
    stop = ada["stops"][0]
    assert (stop["appointment_id"], stop["status"]) == (booked["id"], "scheduled")
    assert stop["arrival_window"] == booked["arrival_window"]
    assert stop["place"]["address"] == CUSTOMERS["address"]
    assert ada["travel_s"] == stop["travel_s"] > 0
    left = shown["unassigned"][0]
    assert left["appointment_id"] == drew["appointment"]["id"]
    assert left["reasons"]
    assert left["fits"] == 0
    assert (shown["kpis"]["planned"], shown["kpis"]["unassigned"]) == (1, 1)


def test_without_a_date_it_is_today_in_the_territory(acme: Acme) -> None:
    assert (board(acme)["date"], board(acme)["time_zone"]) == ("2027-03-02", "America/New_York")


def test_another_organizations_territory_is_unknown(acme: Acme) -> None:
    response = acme.client.call(
        "GET", "/v1/board", key=acme.dispatcher, query={"territory_id": new_id(), "date": DATE}
    )

    assert (response.status_code, response.get_json(force=True)["code"]) == (422, "unknown_reference")


def test_the_board_is_the_dispatchers(acme: Acme) -> None:
    response = acme.client.call(
        "GET", "/v1/board", key=acme.ada_key, query={"territory_id": acme.territory["id"]}
    )

    assert response.status_code == 403
